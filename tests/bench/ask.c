// Puts one question about figures to a station, over and over, and says how long the answers took.
//   bench_ask socket|inside DIR SECONDS TIMES INDICATOR PERIOD BY [UNIT [DIMENSION=CODE]...]
// socket: to the node that runs there, until the last byte of its answer. inside: without one, in this process, as the node would answer.
// Ends after SECONDS or TIMES questions, whichever comes first (0: no such end). BY is a list as of `sanji figures`, "-" none.
// Prints one JSON object; `sum` is that of all values below, so that nobody measures a wrong answer.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control.pb-c.h"
#include "node/control.h"
#include "node/service.h"

enum { TIMES_MAX = 200000, NAMES_MAX = 8 };

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_ask: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void make_request(char **words, int count, struct buffer *ret)
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__FiguresRequest figures = SANJI__FIGURES_REQUEST__INIT;
    Sanji__Filter filters[NAMES_MAX], *filter_list[NAMES_MAX];
    char *by[NAMES_MAX];
    figures.indicators = &words[0];
    figures.n_indicators = 1;
    figures.period = words[1];
    for (char *name = strtok(words[2], ","); name && strcmp(name, "-") != 0 && figures.n_by < NAMES_MAX; name = strtok(NULL, ","))
        by[figures.n_by++] = name;
    figures.by = by;
    if (count > 3)
        figures.unit = words[3];
    for (int i = 4; i < count && figures.n_filters < NAMES_MAX; i++) {
        Sanji__Filter *filter = filter_list[figures.n_filters] = &filters[figures.n_filters];
        char *equals = strchr(words[i], '=');
        must(equals != NULL, "DIMENSION=CODE");
        *equals = 0;
        sanji__filter__init(filter);
        filter->dimension = words[i];
        filter->code = equals + 1;
        figures.n_filters++;
    }
    figures.filters = filter_list;
    request.request_case = SANJI__REQUEST__REQUEST_FIGURES;
    request.figures = &figures;
    codec_pack(&request, ret);
    must(!ret->failed, "no memory");
}

struct asking {
    struct station *station; // inside
    int socket;
    struct buffer request, answer;
};

static void ask(struct asking *asking)
{
    struct error error = {0};
    buffer_clear(&asking->answer);
    enum error_code code;
    if (asking->station) {
        code = service_handle(asking->station, buffer_bytes(&asking->request), NULL, NULL, &asking->answer, &error);
    } else {
        code = control_send(asking->socket, buffer_bytes(&asking->request), -1, &error);
        if (code == OK)
            code = control_receive(asking->socket, -1, &asking->answer, &error);
    }
    must(code == OK, error.detail);
}

static void report(const struct asking *asking, double *times, size_t count)
{
    Sanji__Reply *reply = sanji__reply__unpack(NULL, asking->answer.size, asking->answer.data);
    must(reply && reply->reply_case == SANJI__REPLY__REPLY_FIGURES, reply && reply->failure ? reply->failure->message : "no figures");
    int64_t sum = 0;
    for (size_t i = 0; i < reply->figures->n_subtree; i++)
        sum += reply->figures->subtree[i];
    qsort(times, count, sizeof *times, by_size);
    printf("{\"asked\": %zu, \"p50_ms\": %.5f, \"p99_ms\": %.5f, \"min_ms\": %.5f, \"max_ms\": %.5f, \"rows\": %zu, \"bytes\": %zu, "
           "\"sum\": %" PRId64 ", \"missing\": %u}\n",
           count, times[count / 2] * 1e3, times[count * 99 / 100] * 1e3, times[0] * 1e3, times[count - 1] * 1e3, reply->figures->n_subtree,
           asking->answer.size, sum, reply->figures->freshness->missing_count);
    sanji__reply__free_unpacked(reply, NULL);
}

int main(int count, char **arguments)
{
    struct error error = {0};
    struct asking asking = {0};
    must(count >= 8, "bench_ask socket|inside DIR SECONDS TIMES INDICATOR PERIOD BY [UNIT [DIMENSION=CODE]...]");
    double *times = malloc(TIMES_MAX * sizeof *times), seconds = atof(arguments[3]);
    size_t asked = 0, wanted = strtoull(arguments[4], NULL, 10);
    must(times != NULL, "no memory");
    make_request(arguments + 5, count - 5, &asking.request);
    bool inside = strcmp(arguments[1], "inside") == 0;
    must((inside ? station_open_reading(arguments[2], &asking.station, &error) : control_connect(arguments[2], &asking.socket, &error)) ==
             OK,
         error.detail);
    double began = now_s(), last = began;
    while (asked < TIMES_MAX && (wanted == 0 || asked < wanted) && (seconds <= 0 || last - began < seconds)) {
        ask(&asking);
        double now = now_s();
        times[asked++] = now - last;
        last = now;
    }
    must(asked > 0, "nothing was asked");
    report(&asking, times, asked);
    station_close(asking.station);
    buffer_finish(&asking.request);
    buffer_finish(&asking.answer);
    free(times);
    return 0;
}
