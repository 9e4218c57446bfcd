/* The parts of Linux that Swift's Glibc module leaves out. */
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <malloc.h>
#include <time.h>

/* accept4 is declared for _GNU_SOURCE only, which would change types that Glibc shares with this module. */
int clinux_accept4(int listener, void *address, void *length, int flags) __asm__("accept4");

/* Hidden behind _GNU_SOURCE too. A pthread_t is an unsigned long here. */
int clinux_pthread_setname(unsigned long thread, const char *name) __asm__("pthread_setname_np");

/* Hidden behind _GNU_SOURCE too. `clock` is a clockid_t. Returns 0, or a number of errno. */
int clinux_pthread_clockjoin(unsigned long thread, void **result, int clock, const struct timespec *end)
    __asm__("pthread_clockjoin_np");

/* Hidden behind _GNU_SOURCE too: SCHED_IDLE. */
enum { CLINUX_SCHED_IDLE = 5 };
