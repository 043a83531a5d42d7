
// The threads of a block that meet: each runs until it meets or ends, then the next one does.
struct Fibre {
    ucontext_t start;
    jmp_buf here;
    char* stack;
    bool begun, ended;
};

struct Fibres {
    jmp_buf scheduler;
    ucontext_t origin;
    void (*run)(void*);
    void* argument;
    Fibre all[THREADS];
};

static thread_local Fibres* fibres;
static const size_t STACK = 256 << 10;

// Frees a thread's fibres at its end.
struct Owner {
    bool used;
    ~Owner() {
        if (!fibres) return;
        for (Fibre& one : fibres->all) free(one.stack);
        free(fibres);
    }
};
static thread_local Owner owner;

static void meet() {
    Fibre& own = fibres->all[threadIdx.x];
    if (!_setjmp(own.here)) _longjmp(fibres->scheduler, 1);
}

static void fibre() {
    // A fibre is used for one block after the other.
    for (;;) {
        Fibre& own = fibres->all[threadIdx.x];
        fibres->run(fibres->argument);
        own.ended = true;
        if (!_setjmp(own.here)) _longjmp(fibres->scheduler, 1);
    }
}

static void resume(Fibre& next) {
    if (_setjmp(fibres->scheduler)) return;
    if (next.begun) _longjmp(next.here, 1);
    next.begun = true;
    getcontext(&next.start);
    next.stack = (char*)malloc(STACK);
    next.start.uc_stack.ss_sp = next.stack;
    next.start.uc_stack.ss_size = STACK;
    next.start.uc_link = 0;
    makecontext(&next.start, fibre, 0);
    setcontext(&next.start);
}

static void meeting_block(void (*run)(void*), void* argument) {
    if (!fibres) fibres = (Fibres*)calloc(1, sizeof(Fibres));
    owner.used = true;
    fibres->run = run;
    fibres->argument = argument;
    for (Fibre& one : fibres->all) one.ended = false;
    for (int left = THREADS; left;) {
        left = 0;
        for (unsigned t = 0; t < THREADS; t++) {
            if (fibres->all[t].ended) continue;
            threadIdx.x = t;
            resume(fibres->all[t]);
            left += !fibres->all[t].ended;
        }
    }
}

// The number of an argument's type, as in host.rs.
template <class T> struct Type;
template <class T> struct Type<T*> { static const int number = 0; };
template <> struct Type<i64> { static const int number = 1; };
template <> struct Type<float> { static const int number = 2; };
template <> struct Type<double> { static const int number = 3; };

template <class... A> struct Call {
    void (*kernel)(A...);
    std::tuple<A...> arguments;
};

// 0, or which argument (from 1) is not what the kernel takes.
template <class... A, size_t... I>
static int launch_with(void (*kernel)(A...), void** a, const unsigned char* types, i64 n, i64 blocks, bool meets,
                       std::index_sequence<I...>) {
    if (n != (i64)sizeof...(A)) return 1000;
    int wrong = 0;
    ((wrong = wrong || types[I] == Type<A>::number ? wrong : (int)I + 1), ...);
    if (wrong) return wrong;
    Call<A...> call = {kernel, std::tuple<A...>(*(A*)a[I]...)};
    auto run = [](void* argument) {
        Call<A...>& call = *(Call<A...>*)argument;
        std::apply(call.kernel, call.arguments);
    };
    for (i64 block = 0; block < blocks; block++) {
        blockIdx.x = (unsigned)block;
        if (meets) {
            meeting_block(run, &call);
        } else {
            for (unsigned t = 0; t < THREADS; t++) {
                threadIdx.x = t;
                run(&call);
            }
        }
    }
    return 0;
}

template <class... A>
static int launch(void (*kernel)(A...), void** a, const unsigned char* types, i64 n, i64 blocks, bool meets) {
    return launch_with(kernel, a, types, n, blocks, meets, std::index_sequence_for<A...>());
}

