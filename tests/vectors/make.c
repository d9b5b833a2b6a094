// make DIRECTORY: writes the golden vectors there (schema/vectors). Run it only when a format changes knowingly, with an upgrade note.
#include <stdio.h>

#include "tests/vectors/vectors.h"

static int write_file(const char *directory, const char *name, const char *suffix, struct bytes content)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s%s", directory, name, suffix);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(content.data, 1, content.size, file) != content.size || fclose(file) != 0) {
        perror(path);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct vectors vectors;
    if (argc != 2) {
        fprintf(stderr, "usage: make DIRECTORY\n");
        return 2;
    }
    vectors_make(&vectors);
    int failed = write_file(argv[1], "keys", ".txt", buffer_bytes(&vectors.keys));
    for (size_t i = 0; i < vectors.count && !failed; i++) {
        struct buffer text = {0};
        vector_text(&vectors.items[i], &text);
        failed = write_file(argv[1], vectors.items[i].name, ".hex", buffer_bytes(&text));
        buffer_finish(&text);
    }
    vectors_finish(&vectors);
    return failed;
}
