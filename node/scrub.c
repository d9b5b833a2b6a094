#include "node/scrub.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/ledger_rows.h"
#include "relay/language.h"
#include "relay/row.h"
#include "relay/scrub.h"
#include "relay/store_file.h"

extern char **environ;

static const char *program;

void scrub_use_program(const char *path) { program = path; }

// ---- the worker

struct worker {
    int fd;
    bool failed;
};

static void say(struct worker *worker, const char *text)
{
    size_t size = strlen(text);
    worker->failed |= write(worker->fd, text, size) != (ssize_t)size;
}

static bool is_format(struct bytes key, struct bytes value)
{
    return bytes_equal(key, bytes_of_text("format")) && value.size == 4 && get_be32(value.data) == STORE_FORMAT;
}

// A subject's next edge must be among the edges, or the day on which its age turns would pass unseen.
static bool subject_intact(struct txn *txn, struct bytes key, struct bytes value)
{
    uint8_t edge[4 + SUBJECT_ID_SIZE];
    struct bytes there;
    if (key.size != SUBJECT_ID_SIZE || value.size != KEY_ID_SIZE + 4 + 4 + ROW_CHECKSUM_SIZE || !row_intact(TABLE_SUBJECTS, key, value))
        return false;
    memcpy(edge, value.data + KEY_ID_SIZE + 4, 4);
    memcpy(edge + 4, key.data, SUBJECT_ID_SIZE);
    return get_be32(edge) == UINT32_MAX || txn_get(txn, TABLE_EDGES, bytes_of(edge, sizeof edge), &there);
}

static bool intact(void *context, struct txn *txn, enum table table, struct bytes key, struct bytes value)
{
    (void)context;
    struct group_state group;
    struct cells cells;
    struct heard_row heard;
    struct complete_row complete;
    switch (table) {
    case TABLE_META:
        return is_format(key, value) || row_intact(table, key, value);
    case TABLE_HEARD:
        return heard_row_decode(key, value, &heard);
    case TABLE_COMPLETE:
        return complete_row_decode(key, value, &complete);
    case TABLE_GROUPS:
        return group_row_decode(key, value, &group);
    case TABLE_CELLS:
    case TABLE_BELOW:
        return cells_decode(key, value, &cells);
    case TABLE_SUBJECTS:
        return subject_intact(txn, key, value);
    case TABLE_EDGES:
        return key.size == 4 + SUBJECT_ID_SIZE && value.size == 0;
    default:
        return row_intact(table, key, value);
    }
}

static void on_found(void *context, const struct scrub_finding *finding)
{
    static const char *const names[] = {"row", "order", "lost", "count", "error"};
    char hex[2 * SCRUB_KEY_MAX + 1], line[2 * SCRUB_KEY_MAX + 64];
    crypto_hex(finding->key, hex);
    snprintf(line, sizeof line, "%s %s %s\n", names[finding->fault], table_name(finding->table), finding->key.size ? hex : "-");
    say(context, line);
}

static void on_broken(void *context, const struct tree_finding *finding)
{
    char line[128];
    snprintf(line, sizeof line, "page %s %llu/%s\n", finding->table, (unsigned long long)finding->page, tree_fault_name(finding->fault));
    say(context, line);
}

static void on_table(void *context, enum table table)
{
    char line[64];
    snprintf(line, sizeof line, "table %s -\n", table_name(table));
    say(context, line);
}

// Nobody waits for it: everything else goes first. A loop in a damaged tree ends by the limit.
static void step_back(const char *directory)
{
    enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_IDLE = 3 << 13 };
    char path[4096];
    struct stat file = {0};
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    rlim_t seconds = SCRUB_CPU_S + (stat(path, &file) == 0 ? (rlim_t)file.st_size / SCRUB_CPU_BYTES : 0);
    struct rlimit none = {0, 0}, cpu = {seconds, seconds};
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &cpu);
}

// A store that can't be opened is damaged, too, unless it says something else.
static void say_end(struct worker *worker, const char *directory, enum error_code code, uint64_t rows, const struct error *error)
{
    char line[sizeof error->detail + 64], path[4096];
    struct tree_finding finding;
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    if (code == ERR_CORRUPT && store_file_damage(path, &finding))
        on_broken(worker, &finding);
    if (code == OK)
        snprintf(line, sizeof line, "done rows %llu\n", (unsigned long long)rows);
    else if (code == ERR_CORRUPT || code == ERR_STORE)
        snprintf(line, sizeof line, "error meta -\n");
    else // that says nothing about the tree
        snprintf(line, sizeof line, "failed %d %s\n", (int)code, error->detail);
    say(worker, line);
}

int scrub_worker(const char *directory, bool alone, int fd)
{
    struct worker worker = {.fd = fd};
    struct store *store;
    struct error error = {0};
    struct scrub_visitor visitor = {.context = &worker, .intact = intact, .found = on_found, .table = on_table, .broken = on_broken};
    uint64_t rows = 0;
    step_back(directory);
    enum error_code code = crypto_init(&error);
    if (code == OK)
        code = store_open(directory, STORE_READ_ONLY, 0, &store, &error);
    if (code == OK) {
        code = scrub(store, &visitor, alone, &rows, &error);
        store_close(store);
    }
    say_end(&worker, directory, code, rows, &error);
    return code == OK && !worker.failed ? 0 : 1;
}

// ---- who started it

enum error_code scrub_begin(const char *directory, bool alone, struct scrubber *ret, struct error *error)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char worker[] = "--worker", verb[] = "scrub", beside[] = "--beside", *name = strdup(directory), *path = strdup(program ? program : "");
    char *arguments[] = {path, verb, worker, name, alone ? NULL : beside, NULL};
    enum error_code code = !program         ? error_set(error, ERR_STATE, "scrub: no program")
                           : !name || !path ? error_set(error, ERR_MEMORY, "scrub")
                                            : OK;
    if (code == OK && pipe2(ends, O_CLOEXEC) != 0)
        code = error_set_errno(error, ERR_IO, "pipe");
    if (code != OK) {
        free(name);
        free(path);
        return code;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0); // how it ends is its answer
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);                   // the database is open here without O_CLOEXEC
    int failed = posix_spawn(&pid, path, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    free(name);
    free(path);
    if (failed) {
        close(ends[0]);
        errno = failed;
        return error_set_errno(error, ERR_IO, "%s", program);
    }
    *ret = (struct scrubber){.pid = pid, .fd = ends[0], .at = TABLE_META};
    return OK;
}

static bool table_of(const char *name, enum table *ret)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        if (strcmp(table_name((enum table)i), name) == 0) {
            *ret = (enum table)i;
            return true;
        }
    return false;
}

static void break_report(struct scrub_report *report, const char *how, enum table table)
{
    if (!report->broken)
        snprintf(report->how, sizeof report->how, how, table_name(table));
    report->broken = true;
}

static void break_page(struct scrub_report *report, const char *name, const char *place)
{
    struct tree_finding finding = {0};
    char fault[16], text[TREE_TEXT_MAX];
    unsigned long long page;
    snprintf(finding.table, sizeof finding.table, "%.*s", TREE_NAME_MAX - 1, name);
    if (sscanf(place, "%20llu/%15s", &page, fault) != 2 || !tree_fault_of(fault, &finding.fault))
        return;
    finding.page = page;
    tree_describe(&finding, text);
    if (!report->broken)
        snprintf(report->how, sizeof report->how, "%s", text);
    report->broken = true;
}

static void take_found(struct scrub_report *report, enum table table, const char *hex)
{
    report->damaged++;
    report->beyond_fetching |= table != TABLE_JOURNAL && table != TABLE_OBJECTS && table != TABLE_COPIES && table != TABLE_QUARANTINE;
    size_t size = strlen(hex) / 2;
    if (report->count == SCRUB_FOUND_MAX || size > SCRUB_KEY_MAX)
        return;
    struct scrub_found *found = &report->found[report->count++];
    found->table = table;
    found->key_size = (uint16_t)size;
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        found->key[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
}

static void take_failure(struct scrubber *scrubber, struct scrub_report *report)
{
    char *text;
    unsigned long code = strtoul(scrubber->line + strlen("failed "), &text, 10);
    scrubber->done = true;
    error_set(&report->failure, code > OK && code < ERROR_COUNT ? (enum error_code)code : ERR_STATE, "%s", *text == ' ' ? text + 1 : text);
}

static void take_line(struct scrubber *scrubber, struct scrub_report *report)
{
    char what[16], name[40], key[2 * SCRUB_KEY_MAX + 1];
    enum table table;
    if (strncmp(scrubber->line, "failed ", strlen("failed ")) == 0) {
        take_failure(scrubber, report);
        return;
    }
    if (sscanf(scrubber->line, "%15s %39s %1022s", what, name, key) != 3)
        return;
    if (strcmp(what, "done") == 0) {
        report->rows = strtoull(key, NULL, 10);
        scrubber->done = true;
        return;
    }
    if (strcmp(what, "page") == 0) {
        break_page(report, name, key);
        return;
    }
    if (!table_of(name, &table))
        return;
    if (strcmp(what, "table") == 0)
        scrubber->at = table;
    else if (strcmp(what, "row") == 0)
        take_found(report, table, key);
    else if (strcmp(what, "order") == 0)
        break_report(report, tr("table %s: keys are out of order", "表 %s：键的次序错乱"), table);
    else if (strcmp(what, "lost") == 0)
        break_report(report, tr("table %s: a row is there and can't be found by its key", "表 %s：有的行存在却无法按键找到"), table);
    else if (strcmp(what, "count") == 0)
        break_report(report, tr("table %s: rows are missing or too many", "表 %s：行数与记载不符"), table);
    else
        break_report(report, tr("table %s: its pages can't be read", "表 %s：页面无法读取"), table);
}

static void take_bytes(struct scrubber *scrubber, const char *bytes, size_t size, struct scrub_report *report)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            if (scrubber->line_size + 1 < sizeof scrubber->line)
                scrubber->line[scrubber->line_size++] = bytes[i];
            continue;
        }
        scrubber->line[scrubber->line_size] = 0;
        take_line(scrubber, report);
        scrubber->line_size = 0;
    }
}

// It closed its end: how did it die?
static void reap(struct scrubber *scrubber, struct scrub_report *report)
{
    int status = 0;
    close(scrubber->fd);
    while (waitpid(scrubber->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    scrubber->pid = 0;
    report->died = !WIFEXITED(status) || WEXITSTATUS(status) > 1;
    if (!scrubber->done)
        break_report(report, tr("table %s: reading it ended the process that did", "表 %s：读取它的进程异常终止"), scrubber->at);
}

bool scrub_watch(struct scrubber *scrubber, int timeout_ms, int wake_fd, struct scrub_report *report)
{
    char bytes[4096];
    while (scrubber->pid) {
        struct pollfd fds[2] = {{.fd = scrubber->fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
        int ready = poll(fds, 2, timeout_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || fds[1].revents)
            return false;
        ssize_t got = read(scrubber->fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got > 0)
            take_bytes(scrubber, bytes, (size_t)got, report);
        else
            reap(scrubber, report);
    }
    return true;
}

void scrub_end(struct scrubber *scrubber)
{
    if (!scrubber->pid)
        return;
    kill(scrubber->pid, SIGKILL);
    close(scrubber->fd);
    while (waitpid(scrubber->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    scrubber->pid = 0;
}

enum error_code scrub_advice(const char *path, const struct scrub_report *report, struct error *error)
{
    if (report->broken)
        return error_set(
            error, ERR_CORRUPT,
            tr("%s: the store's tree is damaged (%s); it is kept as it is. Put a copy back (it opens read-only until its parent "
               "grants a new incarnation), or run 'sanji rebuild DIR --salvage'",
               "%s：存储的树结构已损坏（%s）；已原样保留。请恢复副本（在上级授予新一代之前为只读），或执行 'sanji rebuild DIR --salvage'"),
            path, report->how);
    if (report->beyond_fetching)
        return error_set(
            error, ERR_CORRUPT,
            tr("%s: %llu rows are damaged, some of which no neighbour has. Stop the node and run 'sanji rebuild': it makes them "
               "again from the journal",
               "%s：有 %llu 行损坏，其中一部分相邻站点没有。请停止节点并运行 'sanji rebuild'：由日志重新生成"),
            path, (unsigned long long)report->damaged);
    return error_set(error, ERR_CORRUPT,
                     tr("%s: %llu rows of the journal are damaged; the running node fetches them again from its neighbours",
                        "%s：日志中有 %llu 行损坏；运行中的节点会从相邻站点重新获取"),
                     path, (unsigned long long)report->damaged);
}

enum error_code scrub_directory(const char *directory, bool alone, struct scrub_report *ret, struct error *error)
{
    struct scrubber scrubber = {0};
    *ret = (struct scrub_report){0};
    enum error_code code = scrub_begin(directory, alone, &scrubber, error);
    if (code == OK && !scrub_watch(&scrubber, -1, -1, ret))
        code = error_set_errno(error, ERR_IO, "poll");
    scrub_end(&scrubber);
    if (code == OK && ret->failure.code != OK)
        code = error_set(error, ret->failure.code, "%s", ret->failure.detail);
    return code;
}
