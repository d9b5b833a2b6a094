// For targets whose input is one message: what passes the scan is exactly what pack() writes.
#pragma once
#include "relay/codec.h"
#include "tests/fuzz/fuzz.h"

void repack(const struct ProtobufCMessageDescriptor *type, struct bytes wire, const struct codec_limits *limits);
