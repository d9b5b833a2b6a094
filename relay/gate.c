#include "relay/gate.h"

enum { INTERVAL_US = 1000000 / GATE_RATE };

bool gate_admit(struct gate *gate, uint64_t now_us)
{
    uint64_t start = gate->used_until_us > now_us ? gate->used_until_us : now_us;
    if (start - now_us > (uint64_t)(GATE_BURST - 1) * INTERVAL_US)
        return false;
    gate->used_until_us = start + INTERVAL_US;
    return true;
}

void gate_change(struct gate *gate, int connections) { gate->live += connections; }

void gate_answered(struct gate *gate, uint64_t bytes) { gate->memory_max += (int64_t)bytes; }

bool gate_wants_lease(struct gate *gate)
{
    if (gate->live <= 0)
        gate->leased = false;
    return gate->live > 0 && !gate->leased;
}

void gate_lease(struct gate *gate, uint64_t now_ms, int64_t memory)
{
    gate->leased = true;
    gate->lease_end_ms = now_ms + GATE_LEASE_MS;
    gate->memory_max = memory + GATE_GROWTH;
}

bool gate_over(const struct gate *gate, uint64_t now_ms, int64_t memory)
{
    return gate->live > 0 && gate->leased && (now_ms >= gate->lease_end_ms || memory > gate->memory_max);
}

void gate_emptied(struct gate *gate)
{
    gate->live = 0;
    gate->leased = false;
}
