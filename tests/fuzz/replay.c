// replay DIRECTORY: runs the fuzz target that it is linked with over every file of a corpus, in the order of their names, and prints
// TAP. A file that breaks the target ends the process: the plan, printed last, is missing then.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/crypto.h"
#include "relay/file.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static int is_input(const struct dirent *file) { return file->d_name[0] != '.'; }

static bool run(const char *directory, const char *name)
{
    struct buffer content = {0};
    struct error error = {0};
    enum error_code code = file_read(directory, name, INPUT_MAX, false, &content, &error);
    if (code) {
        printf("# %s\n", error.detail);
    } else {
        // A copy of exactly that size, so that the sanitizer sees the first byte beyond it.
        uint8_t *exact = malloc(content.size ? content.size : 1);
        if (!exact)
            abort();
        if (content.size)
            memcpy(exact, content.data, content.size);
        LLVMFuzzerTestOneInput(exact, content.size);
        free(exact);
    }
    buffer_finish(&content);
    return code == OK;
}

int main(int argc, char **argv)
{
    struct dirent **files;
    if (argc != 2) {
        fprintf(stderr, "usage: replay DIRECTORY\n");
        return 2;
    }
    int count = scandir(argv[1], &files, is_input, alphasort);
    if (count <= 0 || crypto_init(NULL) != OK) {
        fprintf(stderr, "%s: no corpus\n", argv[1]);
        return 2;
    }
    int failed = 0;
    for (int i = 0; i < count; i++) {
        bool passed = run(argv[1], files[i]->d_name);
        printf("%s %d - %s\n", passed ? "ok" : "not ok", i + 1, files[i]->d_name);
        fflush(stdout);
        failed += !passed;
        free(files[i]);
    }
    free(files);
    printf("1..%d\n", count);
    return failed ? 1 : 0;
}
