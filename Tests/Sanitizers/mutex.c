// Shows ThreadSanitizer what Swift's Mutex orders when two threads want it at once. That part of Mutex is in a library that is not
// built for the sanitizer: what one thread did before it unlocked, and another one after it got the lock, would look like a race.
// Loaded ahead of that library: these functions are called instead of its own, and call them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

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
