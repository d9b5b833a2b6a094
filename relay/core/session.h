// One session of a link, for the files of the link only: how it begins and ends, and what is said in it. Each appends to step->updates.
#pragma once
#include "relay/core/link.h"

void session_alarm(struct step *step, unsigned channel, enum core_alarm alarm); // nothing on ALARM_NONE
enum core_alarm session_alarm_of(uint32_t fault);                               // of one that bars
void session_error(struct link *link, struct step *step, unsigned channel, uint32_t fault, uint32_t retry_ms);
// What we hold of the peer's channel, how far its row in assembly has come, and its credit.
void session_ack(struct link *link, struct step *step, unsigned channel);
void session_state(struct link *link, struct step *step, enum link_state to);

// Our hello goes out: a session begins on our side, and pieces may come.
void session_hello(struct link *link, struct step *step, bool reply);
// Both hellos are known: sends what the peer doesn't hold.
void session_live(struct link *link, struct step *step, const struct core_hello *hello);
// The peer's row does not follow what is held: tells it, and waits for its repair.
void session_gap(struct link *link, struct step *step, unsigned channel);

// Nothing of the session stays in flight; parts that arrived are kept.
void session_end(struct link *link, struct step *step);
void session_down(struct link *link, struct step *step, bool hangup);   // the parent is dialed again after the backoff
void session_bar(struct link *link, struct step *step, uint32_t fault); // only a person can help: no session for a long while
void session_refuse(struct link *link, struct step *step, unsigned channel, uint32_t fault, enum core_alarm alarm); // says why, and bars
