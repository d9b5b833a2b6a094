#include "node/codebook/prepass.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "relay/language.h"

enum { NOWHERE = UINT32_MAX };

struct node {
    uint32_t parent, first, last, next; // indices of nodes, NOWHERE: none
    uint32_t key, text;                 // offsets in `texts`, NOWHERE: none
    uint32_t index;                     // in its parent
    struct place at, key_at;
};

struct prepass {
    struct node *nodes;
    uint32_t count, capacity;
    struct buffer texts; // NUL-terminated keys and scalars
};

struct reader {
    yaml_parser_t parser;
    struct prepass *prepass;
    const char *name;
    struct error *error;
    uint32_t open[YAML_DEPTH_MAX]; // collections not yet closed
    bool is_mapping[YAML_DEPTH_MAX];
    uint32_t depth;
    uint32_t key; // offset of a key that waits for its value, NOWHERE: none
    struct place key_at;
};

static struct place place_of(yaml_mark_t mark) { return (struct place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1}; }

static const char *text_at(const struct prepass *prepass, uint32_t offset) { return (const char *)prepass->texts.data + offset; }

static size_t path_of(const struct prepass *prepass, uint32_t node, char ret[YAML_PATH_MAX])
{
    uint32_t chain[YAML_DEPTH_MAX + 1], depth = 0;
    for (uint32_t i = node; i != NOWHERE && prepass->nodes[i].parent != NOWHERE && depth <= YAML_DEPTH_MAX; i = prepass->nodes[i].parent)
        chain[depth++] = i;
    size_t size = 0;
    ret[0] = 0;
    while (depth > 0 && size + 1 < YAML_PATH_MAX) {
        const struct node *part = &prepass->nodes[chain[--depth]];
        int n = part->key == NOWHERE ? snprintf(ret + size, YAML_PATH_MAX - size, "[%u]", part->index)
                                     : snprintf(ret + size, YAML_PATH_MAX - size, "%s%s", size ? "." : "", text_at(prepass, part->key));
        size += n > 0 ? (size_t)n : 0;
    }
    return size < YAML_PATH_MAX ? size : YAML_PATH_MAX - 1;
}

// Fails at a place inside the collection that is open now.
static enum error_code refuse(struct reader *reader, enum error_code code, struct place at, const char *what)
{
    char path[YAML_PATH_MAX] = "";
    size_t size = reader->depth ? path_of(reader->prepass, reader->open[reader->depth - 1], path) : 0;
    if (reader->key != NOWHERE && size + 1 < sizeof path)
        snprintf(path + size, sizeof path - size, "%s%s", size ? "." : "", text_at(reader->prepass, reader->key));
    return error_set(reader->error, code, "%s:%u:%u: %s%s%s", reader->name, at.line, at.column, path, path[0] ? ": " : "", what);
}

static enum error_code add_node(struct reader *reader, struct place at, uint32_t *ret)
{
    struct prepass *prepass = reader->prepass;
    if (prepass->count == YAML_NODES_MAX)
        return refuse(reader, ERR_LIMIT, at, tr("more than 100,000 values in one file", "一个文件中的值超过 100,000 个"));
    if (prepass->count == prepass->capacity) {
        uint32_t capacity = prepass->capacity ? prepass->capacity * 2 : 1024;
        struct node *nodes = realloc(prepass->nodes, capacity * sizeof *nodes);
        if (!nodes)
            return error_set(reader->error, ERR_MEMORY, "%s", reader->name);
        prepass->nodes = nodes;
        prepass->capacity = capacity;
    }
    uint32_t id = prepass->count++;
    struct node *node = &prepass->nodes[id];
    *node = (struct node){NOWHERE, NOWHERE, NOWHERE, NOWHERE, reader->key, NOWHERE, 0, at, reader->key == NOWHERE ? at : reader->key_at};
    reader->key = NOWHERE;
    if (reader->depth) {
        struct node *parent = &prepass->nodes[node->parent = reader->open[reader->depth - 1]];
        if (parent->last == NOWHERE)
            parent->first = id;
        else {
            prepass->nodes[parent->last].next = id;
            node->index = prepass->nodes[parent->last].index + 1;
        }
        parent->last = id;
    }
    *ret = id;
    return OK;
}

// Controls would hide in lists and logs, and direction marks let a label read otherwise than it is stored.
static bool is_clean(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
            return false;
        if (c == 0xC2 && i + 1 < size && text[i + 1] < 0xA0)
            return false; // U+0080..U+009F
        if (c == 0xE2 && i + 2 < size) {
            unsigned tail = (unsigned)text[i + 1] << 8 | text[i + 2];
            if ((tail >= 0x808E && tail <= 0x808F) || (tail >= 0x80A8 && tail <= 0x80AE) || (tail >= 0x81A6 && tail <= 0x81A9))
                return false; // U+200E-F, U+2028-E, U+2066-9
        }
    }
    return true;
}

static enum error_code keep_text(struct reader *reader, const yaml_event_t *event, uint32_t *ret)
{
    struct place at = place_of(event->start_mark);
    if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
        return refuse(reader, ERR_INPUT, at, tr("NUL in a text; take it out", "文本中含有 NUL 字符；请删除"));
    if (!is_clean(event->data.scalar.value, event->data.scalar.length))
        return refuse(reader, ERR_INPUT, at, tr("control character in a text; take it out", "文本中含有控制字符；请删除"));
    *ret = (uint32_t)reader->prepass->texts.size;
    // libyaml ends every scalar with a NUL
    buffer_append(&reader->prepass->texts, event->data.scalar.value, event->data.scalar.length + 1);
    return reader->prepass->texts.failed ? error_set(reader->error, ERR_MEMORY, "%s", reader->name) : OK;
}

static enum error_code take_key(struct reader *reader, const yaml_event_t *event)
{
    struct prepass *prepass = reader->prepass;
    uint32_t key;
    enum error_code code = keep_text(reader, event, &key);
    if (code != OK)
        return code;
    struct place at = place_of(event->start_mark);
    const char *text = text_at(prepass, key);
    char what[YAML_PATH_MAX];
    if (strcmp(text, "<<") == 0)
        return refuse(reader, ERR_INPUT, at, tr("merge keys (<<) are not allowed; write the keys out", "不允许合并键（<<）；请逐项写出"));
    uint32_t count = 0;
    for (uint32_t i = prepass->nodes[reader->open[reader->depth - 1]].first; i != NOWHERE; i = prepass->nodes[i].next, count++)
        if (strcmp(text_at(prepass, prepass->nodes[i].key), text) == 0) {
            snprintf(what, sizeof what, tr("key '%.40s' stands here twice (first on line %u)", "键 '%.40s' 重复出现（首次在第 %u 行）"),
                     text, prepass->nodes[i].key_at.line);
            return refuse(reader, ERR_INPUT, at, what);
        }
    if (count == YAML_KEYS_MAX)
        return refuse(reader, ERR_LIMIT, at, tr("more than 64 keys in one mapping", "一个映射中的键超过 64 个"));
    reader->key = key;
    reader->key_at = at;
    return OK;
}

static bool wants_key(const struct reader *reader)
{
    return reader->depth && reader->is_mapping[reader->depth - 1] && reader->key == NOWHERE;
}

static enum error_code take_scalar(struct reader *reader, const yaml_event_t *event)
{
    if (event->data.scalar.tag)
        return refuse(reader, ERR_INPUT, place_of(event->start_mark), tr("tags (!) are not allowed", "不允许标签（!）"));
    if (event->data.scalar.anchor)
        return refuse(reader, ERR_INPUT, place_of(event->start_mark), tr("anchors (&) are not allowed", "不允许锚点（&）"));
    if (wants_key(reader))
        return take_key(reader, event);
    uint32_t text, node;
    enum error_code code = keep_text(reader, event, &text);
    if (code == OK)
        code = add_node(reader, place_of(event->start_mark), &node);
    if (code == OK)
        reader->prepass->nodes[node].text = text;
    return code;
}

static enum error_code open_collection(struct reader *reader, const yaml_event_t *event, bool is_mapping)
{
    struct place at = place_of(event->start_mark);
    if (is_mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor)
        return refuse(reader, ERR_INPUT, at, tr("anchors (&) are not allowed", "不允许锚点（&）"));
    if (is_mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag)
        return refuse(reader, ERR_INPUT, at, tr("tags (!) are not allowed", "不允许标签（!）"));
    if (wants_key(reader))
        return refuse(reader, ERR_INPUT, at, tr("a key must be plain text", "键必须是纯文本"));
    if (reader->depth == YAML_DEPTH_MAX)
        return refuse(reader, ERR_LIMIT, at, tr("nested deeper than 12", "嵌套超过 12 层"));
    uint32_t node;
    enum error_code code = add_node(reader, at, &node);
    if (code == OK) {
        reader->is_mapping[reader->depth] = is_mapping;
        reader->open[reader->depth++] = node;
    }
    return code;
}

static enum error_code take_document(struct reader *reader, const yaml_event_t *event)
{
    struct place at = place_of(event->start_mark);
    if (reader->prepass->count)
        return refuse(reader, ERR_INPUT, at,
                      tr("a second document begins here; one file holds one codebook", "此处开始第二个文档；一个文件只能有一个编码本"));
    if (event->data.document_start.version_directive ||
        event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
        return refuse(reader, ERR_INPUT, at, tr("directives (%) are not allowed", "不允许指令（%）"));
    return OK;
}

static enum error_code take_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return take_document(reader, event);
    case YAML_ALIAS_EVENT:
        return refuse(reader, ERR_INPUT, place_of(event->start_mark), tr("aliases (*) are not allowed", "不允许别名（*）"));
    case YAML_SCALAR_EVENT:
        return take_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(reader, event, false);
    case YAML_MAPPING_START_EVENT:
        return open_collection(reader, event, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        reader->depth--;
        return OK;
    case YAML_STREAM_END_EVENT:
        if (!reader->prepass->count)
            return refuse(reader, ERR_INPUT, (struct place){1, 1}, tr("the file is empty; expected a codebook", "文件为空；应为编码本"));
        return OK;
    default:
        return OK;
    }
}

static enum error_code yaml_failed(struct reader *reader)
{
    if (reader->parser.error == YAML_MEMORY_ERROR)
        return error_set(reader->error, ERR_MEMORY, "%s", reader->name);
    yaml_mark_t mark = reader->parser.problem_mark.line ? reader->parser.problem_mark : reader->parser.mark;
    char what[YAML_PATH_MAX];
    snprintf(what, sizeof what, tr("not YAML: %s", "不是有效的 YAML：%s"), reader->parser.problem ? reader->parser.problem : "?");
    return refuse(reader, ERR_INPUT, place_of(mark), what);
}

static enum error_code read_events(struct reader *reader)
{
    enum error_code code = OK;
    for (bool done = false; code == OK && !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event))
            return yaml_failed(reader);
        code = take_event(reader, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    return code;
}

enum error_code prepass_read(struct bytes yaml, const char *name, struct prepass **ret, struct error *error)
{
    if (yaml.size > YAML_BYTES_MAX)
        return error_set(error, ERR_LIMIT, tr("%s: %zu bytes; a codebook has at most 1 MiB", "%s：%zu 字节；编码本最大 1 MiB"), name,
                         yaml.size);
    struct reader reader = {.name = name, .error = error, .key = NOWHERE};
    reader.prepass = calloc(1, sizeof *reader.prepass);
    if (!reader.prepass)
        return error_set(error, ERR_MEMORY, "%s", name);
    enum error_code code;
    if (!yaml_parser_initialize(&reader.parser))
        code = error_set(error, ERR_MEMORY, "%s", name);
    else {
        // Said, not guessed: a file in UTF-16 must not mean something else to each of two readers.
        yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader.parser, yaml.size ? yaml.data : (const uint8_t *)"", yaml.size);
        code = read_events(&reader);
        yaml_parser_delete(&reader.parser);
    }
    if (code != OK)
        prepass_destroy(reader.prepass);
    else
        *ret = reader.prepass;
    return code;
}

void prepass_destroy(struct prepass *prepass)
{
    if (!prepass)
        return;
    free(prepass->nodes);
    buffer_finish(&prepass->texts);
    free(prepass);
}

static uint32_t child_of(const struct prepass *prepass, uint32_t parent, const char *key, size_t size, uint32_t index)
{
    uint32_t i = prepass->nodes[parent].first;
    for (; i != NOWHERE; i = prepass->nodes[i].next) {
        const struct node *node = &prepass->nodes[i];
        if (!key && node->key == NOWHERE && node->index == index)
            break;
        if (key && node->key != NOWHERE && strlen(text_at(prepass, node->key)) == size &&
            memcmp(text_at(prepass, node->key), key, size) == 0)
            break;
    }
    return i;
}

// The deepest node on the way to `path`; `ret_whole`: the way was there to its end.
static uint32_t find(const struct prepass *prepass, const char *path, bool *ret_whole)
{
    uint32_t at = 0;
    for (const char *p = path; *p;) {
        uint32_t child;
        if (*p == '[') {
            char *end;
            unsigned long index = strtoul(p + 1, &end, 10);
            child = child_of(prepass, at, NULL, 0, (uint32_t)index);
            p = *end == ']' ? end + 1 : end + strlen(end);
        } else {
            p += *p == '.';
            size_t size = strcspn(p, ".[");
            child = child_of(prepass, at, p, size, 0);
            p += size;
        }
        if (child == NOWHERE) {
            *ret_whole = false;
            return at;
        }
        at = child;
    }
    *ret_whole = true;
    return at;
}

struct place prepass_place(const struct prepass *prepass, const char *path)
{
    bool whole;
    return prepass->nodes[find(prepass, path, &whole)].at;
}

struct place prepass_key_place(const struct prepass *prepass, const char *path)
{
    bool whole;
    const struct node *node = &prepass->nodes[find(prepass, path, &whole)];
    return whole ? node->key_at : node->at;
}

const char *prepass_scalar(const struct prepass *prepass, const char *path)
{
    bool whole;
    const struct node *node = &prepass->nodes[find(prepass, path, &whole)];
    return whole && node->text != NOWHERE ? text_at(prepass, node->text) : NULL;
}
