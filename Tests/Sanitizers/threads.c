// Tells ThreadSanitizer about synchronization that it cannot see. This library is preloaded: its functions replace those of that name.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

// The slow path of Swift's Mutex, for a contended lock. It is in a library that is not built with the sanitizer. Without these
// functions the sanitizer would report accesses that the lock orders as races.

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SELF __attribute__((swift_context)) void *

typedef __attribute__((swiftcall)) void (*lock_function)(uint32_t thread, SELF mutex);
typedef __attribute__((swiftcall)) void (*unlock_function)(SELF mutex);

// Weak: programs that the tests start are not built for the sanitizer.
void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));

void lock_slow(uint32_t, SELF) __attribute__((swiftcall)) __asm__(LOCK);
void unlock_slow(SELF) __attribute__((swiftcall)) __asm__(UNLOCK);

__attribute__((swiftcall)) void lock_slow(uint32_t thread, SELF mutex) {
    ((lock_function)dlsym(RTLD_NEXT, LOCK))(thread, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void unlock_slow(SELF mutex) {
    if (__tsan_release) __tsan_release(mutex);
    ((unlock_function)dlsym(RTLD_NEXT, UNLOCK))(mutex);
}

// Joins a thread by pthread_timedjoin_np, which the sanitizer intercepts; it does not intercept this function. The deadline is
// converted, because pthread_timedjoin_np uses CLOCK_REALTIME.
// Without it a joined thread would count as alive, and the sanitizer would end with "CHECK failed" when another thread gets its handle.
int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *end) {
    struct timespec now, until;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += end->tv_sec - now.tv_sec;
    until.tv_nsec += end->tv_nsec - now.tv_nsec;
    if (until.tv_nsec < 0) until.tv_sec -= 1, until.tv_nsec += 1000000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec += 1, until.tv_nsec -= 1000000000;
    return pthread_timedjoin_np(thread, result, &until);
}
