/* What runs inside a template once it is captured: makes copies of it.
 *
 * This is freestanding, position-independent code for x86-64 Linux. The template's pid 1 maps it into the template's
 * memory (see src/launcher/template) and starts it in the zygote, a process that shares that memory and has run nothing
 * before. No code of the function ever runs in that memory again.
 *
 *   zygote   waits for requests for seats; each seat is a process that shares the memory too.
 *   seat     enters the control groups that it was given, once, and then makes one copy after the other. A copy is born
 *            into its seat's control groups, and into the namespaces of its nest, which the seat enters for that.
 *   copy     a fork of the seat: the memory is copied on write. It makes descriptors and threads as the template had
 *            them, gives up every right, and goes on where the template was stopped.
 *
 * The structures are mirrored in src/launcher/template/layout.rs, which says what they mean.
 */

typedef unsigned long u64;
typedef unsigned int u32;
typedef int i32;
typedef long i64;

struct thread {
    u64 tid, tls, gs, clear_tid, robust_list, robust_length, rseq;
    u32 rseq_length, rseq_signature;
    u64 frame, stack;
    char name[16];
    u64 nice;
};

struct step {
    u32 kind;
    i32 fd;
    u32 flags;
    i32 other;
    u64 a, b;
};

struct range {
    u64 start, length; /* the lowest bit of the length: it is written to */
};

struct context {
    u32 threads, steps;
    u64 thread_table, step_table;
    u64 directory;
    u32 umask, landlock_flags;
    u64 seat_stacks;
    u32 seats, seated;
    u32 pid, go;
    u64 range_table;
    u32 ranges;
};

struct request {
    u32 kind, flags;
};

enum { SEAT = 1, COPY = 2 };              /* request.kind */
enum { WITH_RULES = 1, WITH_CHANNEL = 2, EXEMPT = 4 }; /* request.flags of a copy */

enum { LOG = 1, CHANNEL, OPEN, EVENTFD, PIPE, FILL, DUPLICATE, EPOLL, WATCH, TIMERFD, GONE, PAIR, CONNECT };

enum {
    DESCRIPTORS = 12,  /* the most in one message */
    SPACES = 5,        /* kinds of namespaces that a nest has of its own */
    HIGH = 960,        /* our own descriptors are above, the function's below */
    CONTROL = 1023,    /* what the zygote, and each seat, takes requests from */
    HOME = 1022,       /* this and the numbers below it are the template's own namespaces */
    SEAT_STACK = 4096,
};

enum {
    SYS_write = 1, SYS_close = 3, SYS_lseek = 8, SYS_rt_sigaction = 13, SYS_pwrite64 = 18, SYS_madvise = 28, SYS_getpid = 39, SYS_socket = 41,
    SYS_connect = 42, SYS_sendmsg = 46, SYS_recvmsg = 47, SYS_socketpair = 53, SYS_setsockopt = 54, SYS_clone = 56,
    SYS_wait4 = 61, SYS_fcntl = 72, SYS_chdir = 80, SYS_umask = 95, SYS_setsid = 112, SYS_capset = 126, SYS_setpriority = 141,
    SYS_prctl = 157,
    SYS_arch_prctl = 158, SYS_futex = 202, SYS_set_tid_address = 218, SYS_exit_group = 231, SYS_epoll_ctl = 233,
    SYS_openat = 257, SYS_set_robust_list = 273, SYS_timerfd_create = 283, SYS_eventfd2 = 290, SYS_epoll_create1 = 291,
    SYS_dup3 = 292, SYS_pipe2 = 293, SYS_setns = 308, SYS_rseq = 334, SYS_close_range = 436,
    SYS_landlock_restrict_self = 446,
};

enum {
    CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800, CLONE_PARENT = 0x8000,
    CLONE_THREAD = 0x10000, CLONE_SYSVSEM = 0x40000, CLONE_SETTLS = 0x80000,
    CLONE_CHILD_CLEARTID = 0x200000,
};

enum { SIGCHLD = 17, EINTR = 4, O_WRONLY = 1, O_CLOEXEC = 02000000, O_NONBLOCK = 04000 };

#define INLINE static inline __attribute__((always_inline))
#define NORETURN __attribute__((noreturn))

INLINE long call6(long n, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}
#define call(n, a, b, c, d) call6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* Goes on where a thread was stopped: registers, floating point, signal mask and alternate stack are in the frame. */
NORETURN INLINE void resume(u64 frame) {
    asm volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n ud2" ::"r"(frame) : "memory");
    __builtin_unreachable();
}

/* Messages */

struct vector {
    void *base;
    u64 length;
};
struct message {
    void *name;
    u32 name_length, pad0;
    struct vector *vectors;
    u64 vector_count;
    void *control;
    u64 control_length;
    u32 flags, pad1;
};
struct rights {
    u64 length;
    u32 level, type;
    i32 fds[DESCRIPTORS];
};

/* The next request; returns how many descriptors came along. Ends this process when nobody is left to ask. */
static u32 receive(i32 from, struct request *request, struct rights *rights) {
    struct vector vector = {request, sizeof *request};
    struct message message = {0};
    long length;
    do {
        rights->length = 0;
        message.vectors = &vector;
        message.vector_count = 1;
        message.control = rights;
        message.control_length = sizeof *rights;
        length = call(SYS_recvmsg, from, &message, 0, 0);
    } while (length == -EINTR);
    if (length != sizeof *request)
        call(SYS_exit_group, 0, 0, 0, 0);
    return message.control_length >= 16 ? (rights->length - 16) / 4 : 0;
}

/* Says the process id of a copy, or the number of the error, negative, and the step that failed. */
static void say(i32 to, i64 result, i64 step) {
    i64 both[2] = {result, step};
    call(SYS_write, to, both, sizeof both, 0);
}

static void write_number(i32 to, u32 number) {
    char text[12];
    int at = sizeof text;
    do
        text[--at] = '0' + number % 10;
    while (number /= 10);
    call(SYS_pwrite64, to, text + at, sizeof text - at, 0);
}

/* Gives up every capability. */
INLINE void drop_capabilities(void) {
    u32 header[2] = {0x20080522, 0}, none[6] = {0};
    call(SYS_capset, header, none, 0, 0);
}

/* Copies */

NORETURN static void fail(i64 error, i64 step) {
    say(CONTROL, error, step);
    call(SYS_exit_group, 1, 0, 0, 0);
    __builtin_unreachable();
}

/* Puts a descriptor that was just made at the number that it is to have. */
static long place(long made, i32 fd, u32 flags) {
    if (made < 0 || made == fd)
        return made;
    long placed = call(SYS_dup3, made, fd, flags & O_CLOEXEC, 0);
    call(SYS_close, made, 0, 0, 0);
    return placed;
}

static long nonblocking(i32 fd, u32 flags) {
    return flags & O_NONBLOCK ? call(SYS_fcntl, fd, 4, flags & ~(u32)O_CLOEXEC, 0) : 0;
}

static long do_step(struct step *step, i32 log, i32 channel) {
    long made;
    i32 pair[2];
    switch (step->kind) {
    case LOG:
        return call(SYS_dup3, log, step->fd, step->flags & O_CLOEXEC, 0);
    case CHANNEL:
        if (channel < 0)
            return -9;
        made = call(SYS_dup3, channel, step->fd, step->flags & O_CLOEXEC, 0);
        return made < 0 ? made : nonblocking(step->fd, step->flags);
    case OPEN:
        made = call(SYS_openat, -100, step->a, step->flags, 0);
        made = place(made, step->fd, step->flags);
        if (made >= 0 && step->b)
            made = call(SYS_lseek, made, step->b, 0, 0);
        return made;
    case EVENTFD:
        return place(call(SYS_eventfd2, step->a, step->flags, 0, 0), step->fd, step->flags);
    case TIMERFD:
        return place(call(SYS_timerfd_create, step->a, step->flags, 0, 0), step->fd, step->flags);
    case EPOLL:
        return place(call(SYS_epoll_create1, step->flags & O_CLOEXEC, 0, 0, 0), step->fd, step->flags);
    case WATCH: {
        struct __attribute__((packed)) {
            u32 events;
            u64 data;
        } watched = {(u32)step->a, step->b};
        return call(SYS_epoll_ctl, step->fd, 1, step->other, &watched);
    }
    case PIPE:
        made = call(SYS_pipe2, pair, 0, 0, 0);
        break;
    case PAIR:
        made = call(SYS_socketpair, 1, step->b, 0, pair);
        break;
    case GONE: /* a socket whose other side has closed it */
        made = call(SYS_socketpair, 1, 1, 0, pair);
        if (made < 0)
            return made;
        call(SYS_close, pair[1], 0, 0, 0);
        made = place(pair[0], step->fd, step->flags);
        return made < 0 ? made : nonblocking(step->fd, step->flags);
    case CONNECT: { /* a new connection, over the nest's own loopback device */
        made = call(SYS_socket, 2, 1, 0, 0);
        if (made < 0)
            return made;
        int on = 1;
        long connected = call(SYS_connect, made, &step->b, 16, 0);
        if (connected < 0)
            return connected;
        call6(SYS_setsockopt, made, 6, 1, (long)&on, sizeof on, 0);
        made = place(made, step->fd, step->flags);
        return made < 0 ? made : nonblocking(step->fd, step->flags);
    }
    case DUPLICATE:
        return call(SYS_dup3, step->other, step->fd, step->flags & O_CLOEXEC, 0);
    case FILL: /* bytes that wait in a pipe between threads */
        made = call(SYS_write, step->fd, step->a, step->b, 0);
        return made == (long)step->b ? 0 : made < 0 ? made : -5;
    default:
        return -38;
    }
    /* Two ends: `fd` with `flags`, `other` with the flags in `a`. They may have fallen on each other's numbers. */
    if (made < 0)
        return made;
    i32 first = call(SYS_fcntl, pair[0], 0, HIGH, 0), second = call(SYS_fcntl, pair[1], 0, HIGH, 0);
    call(SYS_close, pair[0], 0, 0, 0);
    call(SYS_close, pair[1], 0, 0, 0);
    made = place(first, step->fd, step->flags);
    if (made >= 0)
        made = place(second, step->other, (u32)step->a);
    if (made >= 0)
        made = nonblocking(step->fd, step->flags);
    return made < 0 ? made : nonblocking(step->other, (u32)step->a);
}

/* Takes the memory that events use, all at once. A kernel that does not know how gives it page by page, later. */
static void take_working_set(struct context *context) {
    struct range *ranges = (void *)context->range_table;
    u32 count = __atomic_load_n(&context->ranges, __ATOMIC_ACQUIRE);
    for (u32 i = 0; i < count; i++) /* MADV_POPULATE_WRITE, MADV_POPULATE_READ */
        call(SYS_madvise, ranges[i].start, ranges[i].length & ~1ul, ranges[i].length & 1 ? 23 : 22, 0);
}

/* What every thread does for itself. */
INLINE void take_identity(struct thread *thread) {
    if (thread->robust_list)
        call(SYS_set_robust_list, thread->robust_list, thread->robust_length, 0, 0);
    if (thread->rseq)
        call(SYS_rseq, thread->rseq, thread->rseq_length, 0, thread->rseq_signature);
    call(SYS_prctl, 15, thread->name, 0, 0); /* PR_SET_NAME */
    if (thread->gs)
        call(SYS_arch_prctl, 0x1001, thread->gs, 0, 0); /* ARCH_SET_GS */
}

NORETURN __attribute__((used)) void thread_main(struct thread *thread, struct context *context) {
    take_identity(thread);
    drop_capabilities();
    /* Nobody goes on before everybody is there. */
    while (!__atomic_load_n(&context->go, __ATOMIC_ACQUIRE))
        call(SYS_futex, &context->go, 128, 0, 0);
    resume(thread->frame);
}

static __attribute__((noinline)) long make_thread(struct thread *thread, struct context *context) {
    long result;
    u64 flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                (thread->clear_tid ? CLONE_CHILD_CLEARTID : 0);
    register u64 child_tid asm("r10") = thread->clear_tid;
    register u64 tls asm("r8") = thread->tls;
    register struct thread *t asm("r12") = thread;
    register struct context *c asm("r13") = context;
    asm volatile("syscall\n test %%rax, %%rax\n jnz 1f\n"
                 "mov %%r12, %%rdi\n mov %%r13, %%rsi\n xor %%ebp, %%ebp\n call thread_main\n ud2\n1:"
                 : "=a"(result)
                 : "a"((long)SYS_clone), "D"(flags), "S"(thread->stack), "d"(0L), "r"(child_tid), "r"(tls), "r"(t), "r"(c)
                 : "rcx", "r11", "memory");
    return result;
}

NORETURN static void copy(struct context *context, struct request *request, i32 *fds, u32 count) {
    struct step *steps = (void *)context->step_table;
    struct thread *threads = (void *)context->thread_table, *main = &threads[0];
    u32 next = 0;
    /* Out of the way of the numbers that the function's own descriptors have. */
    for (u32 i = 0; i < count; i++)
        fds[i] = call(SYS_fcntl, fds[i], 0, HIGH, 0);
    call(SYS_close_range, 0, HIGH - 1, 0, 0);
    next += SPACES;
    i32 rules = request->flags & WITH_RULES ? fds[next++] : -1;
    i32 proc = request->flags & EXEMPT ? fds[next++] : -1;
    i32 last_pid = fds[next++], log = fds[next++];
    i32 channel = request->flags & WITH_CHANNEL ? fds[next++] : -1;

    call(SYS_setsid, 0, 0, 0, 0);
    /* The out-of-memory killer passes over the seat, whose memory is the template's. Not over the copy. */
    long done = 0;
    if (proc >= 0) {
        long score = call(SYS_openat, proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
        done = score < 0 ? score : call(SYS_write, score, "0", 1, 0);
        if (done < 0)
            fail(done, -6);
        /* With it, the function could take the exemption back. */
        call(SYS_close, score, 0, 0, 0);
    }
    done = rules < 0 ? 0 : call(SYS_landlock_restrict_self, rules, context->landlock_flags, 0, 0);
    if (done < 0)
        fail(done, -2);
    for (u32 i = 0; i < context->steps; i++)
        if ((done = do_step(&steps[i], log, channel)) < 0)
            fail(done, i);
    done = call(SYS_chdir, context->directory, 0, 0, 0);
    if (done < 0)
        fail(done, -3);
    call(SYS_umask, context->umask, 0, 0, 0);
    take_working_set(context);
    for (u32 i = 1; i < context->threads; i++) {
        write_number(last_pid, threads[i].tid - 1);
        done = make_thread(&threads[i], context);
        if (done != (long)threads[i].tid)
            fail(done < 0 ? done : -17, 1000 + i);
        if (threads[i].nice)
            call(SYS_setpriority, 0, done, threads[i].nice, 0); /* PRIO_PROCESS, of this thread */
    }
    if (main->clear_tid) {
        call(SYS_set_tid_address, main->clear_tid, 0, 0, 0);
        /* The C library keeps the thread's id there. */
        u32 *kept = (u32 *)main->clear_tid;
        if (*kept == context->pid)
            *kept = call(SYS_getpid, 0, 0, 0, 0);
    }
    if (main->nice)
        call(SYS_setpriority, 0, 0, main->nice, 0);
    call(SYS_arch_prctl, 0x1002, main->tls, 0, 0); /* ARCH_SET_FS */
    take_identity(main);
    call(SYS_close_range, HIGH, ~0u, 0, 0);
    drop_capabilities();
    if (context->threads > 1) {
        __atomic_store_n(&context->go, 1, __ATOMIC_RELEASE);
        call(SYS_futex, &context->go, 129, 1 << 30, 0);
    }
    resume(main->frame);
}

/* Seats */

/* Enters namespaces. */
static long enter(i32 *spaces) {
    for (u32 i = 0; i < SPACES; i++) {
        long entered = call(SYS_setns, spaces[i], 0, 0, 0);
        if (entered < 0)
            return entered;
    }
    return 0;
}

/* Makes a copy in the nest whose namespaces are the first descriptors, and comes home again. */
static void make_copy(struct context *context, struct request *request, i32 *fds, u32 count) {
    i32 home[SPACES] = {HOME, HOME - 1, HOME - 2, HOME - 3, HOME - 4};
    long pid = count < SPACES + 2 ? -22 : enter(fds);
    i64 step = -1;
    if (pid >= 0) {
        pid = call6(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, 0);
        if (pid == 0)
            copy(context, request, fds, count);
        /* Not to hold on to the nest, which may be gone before the next one comes. */
        long back = enter(home);
        if (back < 0)
            say(CONTROL, back, -5);
        step = 0;
    }
    say(CONTROL, pid, step);
}

/* The life of a seat. It comes with the descriptors of the request that asked for it. */
NORETURN __attribute__((used)) void seat_main(struct context *context, struct rights *rights, u32 count) {
    struct request request;
    for (u32 i = 1; i < count; i++) {
        long entered = call(SYS_write, rights->fds[i], "0", 1, 0);
        if (entered < 0)
            fail(entered, -4);
    }
    for (;;) {
        count = receive(CONTROL, &request, rights);
        if (request.kind == COPY)
            make_copy(context, &request, rights->fds, count);
        call(SYS_close_range, 0, HIGH - 1, 0, 0);
    }
}

static __attribute__((noinline)) long make_seat(struct context *context, u64 stack, struct rights *rights, u32 count) {
    long result;
    register struct context *c asm("r12") = context;
    register struct rights *r asm("r13") = rights;
    register u64 n asm("r14") = count;
    register long zero asm("r10") = 0;
    asm volatile("syscall\n test %%rax, %%rax\n jnz 1f\n"
                 "mov %%r12, %%rdi\n mov %%r13, %%rsi\n mov %%r14, %%rdx\n xor %%ebp, %%ebp\n call seat_main\n ud2\n1:"
                 : "=a"(result)
                 : "a"((long)SYS_clone), "D"((long)(CLONE_VM | CLONE_PARENT | SIGCHLD)), "S"(stack), "d"(0L), "r"(zero),
                   "r"(c), "r"(r), "r"(n)
                 : "rcx", "r11", "memory");
    return result;
}

/* Where the zygote begins. */
NORETURN __attribute__((section(".text.entry"), used)) void entry(struct context *context) {
    static const u32 RIGHTS_NEEDED[] = {8, 18, 21, 40};
    struct request request;
    for (u32 i = sizeof RIGHTS_NEEDED / sizeof *RIGHTS_NEEDED; i-- > 0;)
        call(SYS_prctl, 24, RIGHTS_NEEDED[i], 0, 0); /* PR_CAPBSET_DROP: nobody gets them by another program */
    call(SYS_prctl, 15, "zygote", 0, 0);
    call(SYS_close_range, 0, HIGH - 1, 0, 0);
    for (;;) {
        /* A seat's stack holds its message too; each seat has one for good, since seats are few and used again. */
        u64 stack = context->seat_stacks + (u64)context->seated * SEAT_STACK;
        struct rights *rights = (void *)stack;
        u32 count = receive(CONTROL, &request, rights);
        if (request.kind == SEAT && count > 0 && context->seated < context->seats) {
            /* The seat is born with its own socket as its control. */
            long old = call(SYS_fcntl, CONTROL, 0, HIGH, 0);
            call(SYS_dup3, rights->fds[0], CONTROL, 0, 0);
            long pid = make_seat(context, stack + SEAT_STACK, rights, count);
            call(SYS_dup3, old, CONTROL, 0, 0);
            call(SYS_close, old, 0, 0, 0);
            if (pid > 0)
                context->seated++;
            say(CONTROL, pid, 0);
        } else {
            say(CONTROL, -11, 0);
        }
        call(SYS_close_range, 0, HIGH - 1, 0, 0);
    }
}
