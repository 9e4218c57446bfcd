// The load generator of the benchmark: one thread, epoll, OpenSSL. Every server gets the same bytes.
//
//   load --port N [--mode load|handshake|idle] [--connections N] [--seconds S] [--warm S] [--count N]
//        [--rate R] [--resume] [--tls 1.2|1.3] [--cipher NAME] [--sleepy] [--yield] [--request FILE]
//        [--body-format TEXT --bodies K]
//
// load       closed loop: every connection sends its next request after the response to the last one; with --rate an open
//            loop: requests are due at Poisson times, whatever the server does, and latency counts from the due time.
//            Both poll without sleeping: a server whose client sleeps pays for waking it (up to 2 us a request on a
//            virtual machine), so a slower server would be charged for more than its own work. With --yield another
//            process on this CPU, such as the upstream of a proxy under test, runs whenever there is nothing to read.
// handshake  --count new TLS connections, one request each; --resume offers a session from an earlier connection.
// idle       opens --count connections, one request each, and holds them.
//
// Responses may have any length or be chunked; their bodies are counted and dropped.
//
// It prints "ready" when connected and warm, waits for a line on standard input, runs, prints one line of JSON, and
// exits when standard input ends: the caller reads the server's CPU time at these points, with nothing in flight.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { INPUT = 16 * 1024, EVENTS = 256 };
enum state { CLOSED, CONNECTING, HANDSHAKING, WAITING, IDLE };
// Which part of a response the next byte belongs to.
enum part { HEAD, LENGTH, CHUNK_SIZE, CHUNK, TRAILERS, END };
struct connection {
    SSL *ssl;
    int fd;
    enum state state;
    enum part part;
    uint64_t due;
    long left;   // bytes left of the body or chunk; the chunk size so far; the length of the trailer line
    int filled;  // with the head
    int status;
    char input[];
};

static int port, epoll_fd, capacity = INPUT, connection_count = 32, target_count = 0, tls = 13, bodies = 0;
static double seconds = 1, warm = 0.2, rate = 0;
static bool resume, handshakes, hold, sleepy, yields;
static const char *body_format;
static char *varying;
static char request[8192], head[4096];
static int request_length;
static SSL_CTX *context;
static SSL_SESSION *session;
static struct connection **all;
static uint64_t answered, status_count[600], bytes_in, reused, next_body, samples[64 * 64];
static bool recording, keep_sending;

static void fail(const char *what) {
    fprintf(stderr, "load: %s (errno %s)\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// Histogram with 64 linear steps per power of two: 1.6 % resolution.
static void record(uint64_t nanoseconds) {
    int shift = nanoseconds < 64 ? 0 : 58 - __builtin_clzll(nanoseconds);
    samples[shift * 64 + (nanoseconds >> shift)]++;
}

static double quantile(double q) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < 64 * 64; i++) total += samples[i];
    for (int i = 0; i < 64 * 64; i++)
        if ((seen += samples[i]) > (uint64_t)(q * (double)total) || (seen == total && seen))
            return (double)(((uint64_t)(i % 64) + 1) << (i / 64)) / 1000;
    return 0;
}

static int keep_session(SSL *ssl, SSL_SESSION *fresh) {
    if (!resume || session) return 0;
    // One session is offered many times; with the cache on, OpenSSL would remove it after its first use.
    SSL_CTX_set_session_cache_mode(SSL_get_SSL_CTX(ssl), SSL_SESS_CACHE_OFF);
    session = fresh;
    return 1;
}

static void prepare_request(void) {
    if (varying) {  // sixteen digits of the trace id
        for (uint64_t number = ++next_body, i = 16; i-- > 0; number >>= 4) varying[i] = "0123456789abcdef"[number & 15];
    }
    if (!body_format) return;
    char body[1024];
    int length = snprintf(body, sizeof body, body_format, (int)(next_body++ % (uint64_t)bodies));
    request_length = snprintf(request, sizeof request, "%sContent-Length: %d\r\n\r\n%s", head, length, body);
}

static void send_request(struct connection *c, uint64_t due) {
    prepare_request();
    c->due = due;
    c->filled = 0;
    c->part = HEAD;
    c->state = WAITING;
    if (SSL_write(c->ssl, request, request_length) != request_length) fail("write");
}

static void close_connection(struct connection *c) {
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
    c->state = CLOSED;
}

static void open_connection(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) fail("connect");
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, "localhost");
    if (resume && session) SSL_set_session(c->ssl, session);
    SSL_set_connect_state(c->ssl);
    c->state = CONNECTING;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

// Finds the end of the head in `input` and sets `part` and `left` for the body. Returns the head's length.
static int head_length(struct connection *c) {
    c->input[c->filled] = 0;
    char *end = memmem(c->input, (size_t)c->filled, "\r\n\r\n", 4);
    if (!end) return 0;
    c->status = atoi(c->input + 9);
    if (c->status < 100 || c->status > 599) fail("bad status");
    char *length = strcasestr(c->input, "\r\ncontent-length:"), *coding = strcasestr(c->input, "\r\ntransfer-encoding: chunked\r\n");
    c->left = length && length < end ? atol(length + 17) : 0;
    if (length && length < end) c->part = c->left ? LENGTH : END;
    else if (coding && coding < end) c->part = CHUNK_SIZE;
    else if (c->status == 204) c->part = END;
    else fail("an answer without Content-Length");
    return (int)(end + 4 - c->input);
}

// Consumes these bytes of the response's body.
static void receive_body(struct connection *c, const char *byte, const char *end) {
    while (byte < end) switch (c->part) {
        case LENGTH:
        case CHUNK: {
            long taken = end - byte < c->left ? end - byte : c->left;
            byte += taken;
            if ((c->left -= taken) == 0) c->part = c->part == LENGTH ? END : CHUNK_SIZE;
            break;
        }
        case CHUNK_SIZE:
            if (*byte == '\n') { c->part = c->left ? CHUNK : TRAILERS; c->left += c->left ? 2 : 0; }
            else if (*byte >= '0' && *byte <= '9') c->left = c->left * 16 + *byte - '0';
            else if ((*byte | 32) >= 'a' && (*byte | 32) <= 'f') c->left = c->left * 16 + (*byte | 32) - 'a' + 10;
            else if (*byte != '\r') fail("bad chunk size");
            byte++;
            break;
        case TRAILERS:
            if (*byte == '\n') { if (c->left == 0) c->part = END; c->left = 0; }
            else if (*byte != '\r') c->left++;
            byte++;
            break;
        default: fail("more bytes than the answer has");
    }
}

// Reads the available bytes. True when the response is complete.
static bool receive(struct connection *c) {
    for (;;) {
        char *start = c->input + c->filled;
        int n = SSL_read(c->ssl, start, capacity - 1 - c->filled);
        if (n <= 0) {
            if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ) return false;
            fail("the server closed the connection");
        }
        bytes_in += (uint64_t)n;
        const char *end = start + n;
        if (c->part == HEAD) {
            c->filled += n;
            int length = head_length(c);
            if (length == 0) continue;
            start = c->input + length;
            c->filled = 0;
        }
        receive_body(c, start, end);
        if (c->part != END) continue;
        answered++;
        status_count[c->status]++;
        if (recording) record(now() - c->due);
        return true;
    }
}

static void poll_events(int timeout, void (*finished)(struct connection *)) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll_fd, events, EVENTS, timeout);
    if (n == 0 && yields) sched_yield();
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->state == CONNECTING && (events[i].events & EPOLLOUT)) c->state = HANDSHAKING;
        if (c->state == HANDSHAKING) {
            int done = SSL_do_handshake(c->ssl);
            if (done != 1) {
                int why = SSL_get_error(c->ssl, done);
                if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) fail("handshake");
                continue;
            }
            reused += (uint64_t)SSL_session_reused(c->ssl);
            send_request(c, now());
        } else if (c->state == WAITING && (events[i].events & EPOLLIN)) {
            if (receive(c)) { c->state = IDLE; finished(c); }
        } else if (c->state == IDLE && (events[i].events & (EPOLLRDHUP | EPOLLHUP))) {
            fail("the server closed an idle connection");
        }
    }
}

static void stay_idle(struct connection *c) { (void)c; }
static void send_next(struct connection *c) { if (keep_sending) send_request(c, now()); }

static void drain(int count) {
    keep_sending = false;
    for (;;) {
        int waiting = 0;
        for (int i = 0; i < count; i++) waiting += all[i]->state == WAITING || all[i]->state == HANDSHAKING || all[i]->state == CONNECTING;
        if (!waiting) return;
        poll_events(1000, stay_idle);
    }
}

static void closed_loop(double duration) {
    uint64_t stop = now() + (uint64_t)(duration * 1e9);
    keep_sending = true;
    for (int i = 0; i < connection_count; i++) send_request(all[i], now());
    while (now() < stop && (!target_count || answered < (uint64_t)target_count)) poll_events(sleepy ? 100 : 0, send_next);
    drain(connection_count);
}

// Poisson arrivals; a request that is due while every connection is busy waits, and its wait counts.
static void open_loop(double duration) {
    uint64_t start = now(), stop = start + (uint64_t)(duration * 1e9), due = start;
    unsigned short seed[3] = {1, 2, 3};
    int turn = 0;
    while (due < stop) {
        uint64_t time = now();
        if (time > stop + 2000000000) break;
        for (int tried = 0; due <= time && due < stop && tried < connection_count; tried++) {
            struct connection *c = all[turn++ % connection_count];
            if (c->state != IDLE) continue;
            send_request(c, due);
            due += (uint64_t)(-log(1 - erand48(seed)) * 1e9 / rate);
            tried = -1;
        }
        poll_events(0, stay_idle);
    }
    drain(connection_count);
}

static uint64_t started, finished_count;
static void reopen(struct connection *c) {
    finished_count++;
    if (hold) return;
    close_connection(c);
    if (started < (uint64_t)target_count) { started++; open_connection(c); }
}

static void many_connections(void) {
    int width = connection_count < target_count ? connection_count : target_count;
    started = 0; finished_count = 0;
    if (hold) {
        while (finished_count < (uint64_t)target_count) {
            while (started < (uint64_t)target_count && started - finished_count < 32) open_connection(all[started++]);
            poll_events(1000, reopen);
        }
        return;
    }
    for (int i = 0; i < width; i++) { started++; open_connection(all[i]); }
    while (finished_count < (uint64_t)target_count) poll_events(1000, reopen);
}

static void wait_for_line(void) {
    char line[64];
    if (!fgets(line, sizeof line, stdin)) exit(0);
}

int main(int count, char **arguments) {
    const char *request_file = NULL, *cipher = "TLS_AES_256_GCM_SHA384";
    static struct option options[] = {{"port", 1, 0, 'p'}, {"mode", 1, 0, 'm'}, {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
        {"warm", 1, 0, 'w'}, {"count", 1, 0, 'n'}, {"rate", 1, 0, 'r'}, {"resume", 0, 0, 'R'}, {"tls", 1, 0, 't'}, {"request", 1, 0, 'q'},
        {"body-format", 1, 0, 'b'}, {"bodies", 1, 0, 'k'}, {"cipher", 1, 0, 'C'}, {"sleepy", 0, 0, 'S'}, {"yield", 0, 0, 'y'}, {0}};
    for (int o; (o = getopt_long(count, arguments, "", options, NULL)) != -1;) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'm': handshakes = !strcmp(optarg, "handshake"); hold = !strcmp(optarg, "idle"); break;
        case 'c': connection_count = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 'n': target_count = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'R': resume = true; break;
        case 't': tls = strcmp(optarg, "1.2") ? 13 : 12; break;
        case 'q': request_file = optarg; break;
        case 'b': body_format = optarg; break;
        case 'k': bodies = atoi(optarg); break;
        case 'C': cipher = optarg; break;
        case 'S': sleepy = true; break;
        case 'y': yields = true; break;
        default: return 2;
    }
    alarm(120);
    FILE *file = request_file ? fopen(request_file, "r") : NULL;
    if (!file) fail("--request FILE");
    request_length = (int)fread(request, 1, sizeof request - 1, file);
    // Each request gets its own trace id if the file has a traceparent.
    if ((varying = memmem(request, (size_t)request_length, "\r\ntraceparent: 00-", 18))) varying += 18;
    // With a body format the file ends after its last header line; Content-Length and the body are added here.
    memcpy(head, request, (size_t)(request_length < 4095 ? request_length : 4095));

    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, tls == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, tls == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (!SSL_CTX_set_ciphersuites(context, cipher) || !SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES256-GCM-SHA384")) fail("cipher");
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x08http/1.1", 9);
    if (hold) SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);

    epoll_fd = epoll_create1(0);
    if (hold) capacity = 4096;
    int slots = hold ? target_count : connection_count;
    all = calloc((size_t)slots, sizeof *all);
    for (int i = 0; i < slots; i++) all[i] = calloc(1, sizeof **all + (size_t)capacity);
    if (handshakes) {
        int wanted = target_count, width = connection_count;
        target_count = connection_count = 4;  // warm up, and obtain the session to resume
        bool with_session = resume;
        many_connections();
        if (with_session && !session) fail("the server sent no session ticket");
        target_count = wanted; connection_count = width;
        reused = 0;
    } else if (!hold) {
        for (int i = 0; i < connection_count; i++) open_connection(all[i]);
        drain(connection_count);
        int wanted = target_count;
        target_count = 0;
        if (warm > 0) closed_loop(warm);
        target_count = wanted;
    }
    answered = bytes_in = 0;
    memset(status_count, 0, sizeof status_count);
    printf("ready\n");
    fflush(stdout);
    wait_for_line();

    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    double cpu = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    recording = true;
    uint64_t start = now();
    if (handshakes || hold) many_connections();
    else if (rate > 0) open_loop(seconds);
    else closed_loop(seconds);
    double elapsed = (double)(now() - start) / 1e9;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    cpu = (double)used.tv_sec + (double)used.tv_nsec / 1e9 - cpu;

    printf("{\"requests\":%llu,\"seconds\":%.6f,\"client_cpu\":%.6f,\"bytes\":%llu,\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f,\"reused\":%llu,\"status\":{",
           (unsigned long long)answered, elapsed, cpu, (unsigned long long)bytes_in, quantile(0.5), quantile(0.99), quantile(0.999), quantile(1),
           (unsigned long long)reused);
    const char *comma = "";
    for (int i = 0; i < 600; i++) if (status_count[i]) { printf("%s\"%d\":%llu", comma, i, (unsigned long long)status_count[i]); comma = ","; }
    printf("}}\n");
    fflush(stdout);
    wait_for_line();
    return 0;
}
