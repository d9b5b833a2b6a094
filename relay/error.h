// One list of errors: name, text, and what the operator does about it. Library code returns them and never logs.
#pragma once

// code, English, Chinese, what to do (English), what to do (Chinese)
#define ERROR_LIST(X)                                                                                                                      \
    X(ERR_INPUT, "bad input", "输入有误", "correct it and try again; nothing was changed", "改正后重试；未作任何更改")                     \
    X(ERR_USAGE, "wrong use of the command", "命令用法有误", "see --help", "见 --help")                                                    \
    X(ERR_NOT_FOUND, "not found", "未找到", "check the name", "核对名称")                                                                  \
    X(ERR_EXISTS, "already there", "已存在", "choose another place or name", "另选位置或名称")                                             \
    X(ERR_REFUSED, "refused", "被拒绝", "see the reason given", "见所述原因")                                                              \
    X(ERR_LIMIT, "over a limit", "超出上限", "send less at once", "减少一次发送的量")                                                      \
    X(ERR_CORRUPT, "damaged data", "数据损坏", "keep the directory and run verify", "保留目录并运行 verify")                               \
    X(ERR_FORGED, "signature or hash does not match", "签名或散列不符", "keep the evidence and tell the admin", "保留证据并告知管理员")    \
    X(ERR_STORE, "store error", "存储错误", "the node stops; check the disk and start it again", "节点停止；检查磁盘后重新启动")           \
    X(ERR_FULL, "no room", "空间不足", "free disk space; what was acknowledged is kept", "腾出磁盘空间；已确认的数据均已保存")             \
    X(ERR_IO, "input/output error", "读写错误", "check the file and its rights", "检查文件及其权限")                                       \
    X(ERR_MEMORY, "out of memory", "内存不足", "free memory and try again", "释放内存后重试")                                              \
    X(ERR_NETWORK, "network error", "网络错误", "check address and line; nothing is lost meanwhile", "检查地址和线路；期间不会丢失数据")   \
    X(ERR_TIMEOUT, "no answer in time", "超时无应答", "try again", "重试")                                                                 \
    X(ERR_BUSY, "busy", "繁忙", "try again in a moment", "稍后重试")                                                                       \
    X(ERR_STATE, "not possible in this state", "当前状态下不可行", "see status", "见 status")                                              \
    X(ERR_VERSION, "unknown version", "未知版本", "use a newer sanji; the data is kept as it is", "使用更新版本的 sanji；数据原样保留")

enum error_code {
    OK = 0,
#define X(name, en, zh, do_en, do_zh) name,
    ERROR_LIST(X)
#undef X
        ERROR_COUNT
};

// What happened, for a person. `detail` says the place and the thing ("file.csv:12: unit: ..."), already in the thread's language.
struct error {
    enum error_code code;
    char detail[512];
};

// Fills `error` (may be NULL) and returns `code`, so that a function can end with `return error_set(...)`. Long details are cut at a
// UTF-8 boundary.
enum error_code error_set(struct error *error, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
// The same, with strerror(errno) added.
enum error_code error_set_errno(struct error *error, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
const char *error_name(enum error_code code);   // "ERR_INPUT"
const char *error_text(enum error_code code);   // in the thread's language
const char *error_action(enum error_code code); // what to do, in the thread's language
