// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Never compiled for ThreadSanitizer: the kernel's own lists are not under test. The two functions
 * below tell ThreadSanitizer what the locks order.
 */
#include <ctype.h>
#include <stdarg.h>
#include "tests/linux/kernel.h"

#ifdef SHIM_TSAN
void __tsan_acquire(const void *at);
void __tsan_release(const void *at);
#else
#define __tsan_acquire(at) ((void)(at))
#define __tsan_release(at) ((void)(at))
#endif

void shim_release(const void *at)
{
	__tsan_release(at);
}

void shim_acquire(const void *at)
{
	__tsan_acquire(at);
}

#define fail(...)                                        \
	do {                                             \
		fprintf(stderr, "# %s: ", sched_name()); \
		fprintf(stderr, __VA_ARGS__);            \
		fputc('\n', stderr);                     \
		abort();                                 \
	} while (0)

/* ---- contexts and barriers ---- */

struct local {
	int atomic_depth, rcu_depth;
	u32 epoch; /* the epoch of the outermost rcu_read_lock() */
	bool noio;
	u64 barrier; /* the number of this thread's last full barrier */
};
_Static_assert(sizeof(struct local) <= SCHED_LOCAL_LEN, "");
static u64 barriers;

static struct local *local(void)
{
	return sched_local();
}

void shim_full_barrier(void)
{
	sched_step();
	local()->barrier = ++barriers;
}

void shim_atomic_begin(void)
{
	local()->atomic_depth++;
}

void shim_atomic_end(void)
{
	local()->atomic_depth--;
}

void shim_might_sleep(const char *what)
{
	if (local()->atomic_depth || local()->rcu_depth)
		fail("%s may sleep, which is forbidden here", what);
	sched_step();
}

void msleep(unsigned int ms)
{
	shim_might_sleep("msleep");
	sched_wait(NULL, msecs_to_jiffies(ms), "msleep");
}

/* ---- locks ---- */

void shim_lock(struct shim_lock *lock, const char *where)
{
	shim_full_barrier();
	while (lock->locked)
		sched_wait(lock, SCHED_FOREVER, where);
	lock->locked = true;
	shim_acquire(lock);
}

void shim_unlock(struct shim_lock *lock)
{
	if (!lock->locked)
		fail("unlocks what is not locked");
	shim_release(lock);
	lock->locked = false;
	sched_wake(lock);
	sched_step();
}

void spin_lock(spinlock_t *lock)
{
	shim_lock(lock, "spin_lock");
	shim_atomic_begin();
}

void spin_unlock(spinlock_t *lock)
{
	shim_atomic_end();
	shim_unlock(lock);
}

void mutex_lock(struct mutex *m)
{
	shim_might_sleep("mutex_lock");
	shim_lock(&m->lock, "mutex_lock");
}

bool mutex_trylock(struct mutex *m)
{
	shim_full_barrier();
	if (m->lock.locked)
		return false;
	m->lock.locked = true;
	shim_acquire(&m->lock);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	shim_unlock(&m->lock);
}

/*
 * A reader is one of `readers` in the epoch in which it began; synchronize_rcu() starts the next.
 */
static struct {
	u32 readers[2];
	u32 epoch;
	bool waiting;
	struct shim_lock lock;
	char before, after; /* addresses for ThreadSanitizer */
} rcu;

void rcu_read_lock(void)
{
	sched_step();
	if (local()->rcu_depth++)
		return;
	local()->epoch = rcu.epoch & 1;
	rcu.readers[local()->epoch]++;
	shim_acquire(&rcu.before);
}

void rcu_read_unlock(void)
{
	sched_step();
	if (--local()->rcu_depth)
		return;
	shim_release(&rcu.after);
	rcu.readers[local()->epoch]--;
	sched_wake(&rcu);
}

void synchronize_rcu(void)
{
	u32 old;

	shim_might_sleep("synchronize_rcu");
	shim_lock(&rcu.lock, "synchronize_rcu");
	shim_release(&rcu.before);
	old = rcu.epoch++ & 1;
	while (rcu.readers[old])
		sched_wait(&rcu, SCHED_FOREVER, "synchronize_rcu");
	shim_acquire(&rcu.after);
	shim_unlock(&rcu.lock);
}

/* ---- waiting ---- */

void shim_wait_begin(wait_queue_head_t *q, struct shim_waiter *w, const char *where)
{
	shim_might_sleep(where);
	shim_full_barrier();
	shim_acquire(q);
	w->next = q->waiters;
	q->waiters = w;
	q->joined = local()->barrier;
	sched_step();
}

bool shim_wait_sleep(wait_queue_head_t *q, struct shim_waiter *w, u64 until, const char *where)
{
	u64 now = sched_now();

	if (!w->woken && until <= now)
		return false;
	if (!w->woken)
		sched_wait(w, until == SCHED_FOREVER ? until : until - now, where);
	shim_acquire(q);
	w->woken = false;
	return true;
}

void shim_wait_end(wait_queue_head_t *q, struct shim_waiter *w)
{
	struct shim_waiter **at = &q->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

void wake_up_all(wait_queue_head_t *q)
{
	struct shim_waiter *w;

	shim_full_barrier();
	shim_release(q);
	for (w = q->waiters; w; w = w->next) {
		w->woken = true;
		sched_wake(w);
	}
	sched_step();
}

/* The load may have been done before what this thread stored since its last full barrier. */
bool waitqueue_active(wait_queue_head_t *q)
{
	sched_step();
	if (q->waiters && q->joined > local()->barrier)
		return !sched_random(2);
	return q->waiters;
}

bool wq_has_sleeper(wait_queue_head_t *q)
{
	shim_full_barrier();
	return q->waiters;
}

void complete(struct completion *c)
{
	c->done = true;
	wake_up_all(&c->wait);
}

void wait_for_completion(struct completion *c)
{
	wait_event(c->wait, c->done);
}

/* ---- timers: one thread runs them all ---- */

static struct {
	struct timer_list *first;
	struct timer_list *running;
	bool started;
} timers;

static struct timer_list *unlink_timer(struct timer_list *timer)
{
	struct timer_list **at = &timers.first;

	while (*at && *at != timer)
		at = &(*at)->next;
	if (*at)
		*at = timer->next;
	timer->pending = false;
	return timer;
}

static struct timer_list *next_timer(void)
{
	struct timer_list *t, *next = timers.first;

	for (t = timers.first; t; t = t->next)
		if (t->expires < next->expires)
			next = t;
	return next;
}

static void timer_thread(void *unused)
{
	struct timer_list *t;

	for (;;) {
		t = next_timer();
		if (!t || t->expires > sched_now()) {
			sched_wait(&timers, t ? t->expires - sched_now() : SCHED_FOREVER, "timers");
			continue;
		}
		timers.running = unlink_timer(t);
		shim_acquire(t);
		shim_atomic_begin();
		t->function(t);
		shim_atomic_end();
		shim_release(&timers);
		timers.running = NULL;
		sched_wake(&timers.running);
	}
}

void timer_setup(struct timer_list *timer, void (*fn)(struct timer_list *timer), int flags)
{
	*timer = (struct timer_list){ .function = fn };
}

bool mod_timer(struct timer_list *timer, unsigned long expires)
{
	bool was = timer->pending;

	sched_step();
	if (was)
		unlink_timer(timer);
	shim_release(timer);
	timer->expires = expires;
	timer->pending = true;
	timer->next = timers.first;
	timers.first = timer;
	if (!timers.started) {
		timers.started = true;
		sched_spawn("timers", timer_thread, NULL);
	}
	sched_wake(&timers);
	return was;
}

bool timer_delete_sync(struct timer_list *timer)
{
	bool was = timer->pending;

	sched_step();
	if (was)
		unlink_timer(timer);
	while (timers.running == timer)
		sched_wait(&timers.running, SCHED_FOREVER, "timer_delete_sync");
	shim_acquire(&timers);
	return was;
}

/* ---- work ---- */

#define WORKERS_MAX 4

struct worker {
	struct workqueue_struct *queue;
	struct work_struct *work; /* what it runs; its memory may be gone already */
	bool started;
	char ended; /* an address for ThreadSanitizer */
};

struct workqueue_struct {
	struct workqueue_struct *next;
	struct work_struct *first, **last;
	struct worker workers[WORKERS_MAX];
	int worker_count;
	bool reclaim, ending;
	char name[24];
};

static struct workqueue_struct *queues;
static bool short_of_memory;
static struct workqueue_struct *system_queue(void);
struct workqueue_struct *system_wq;
const struct work_struct *shim_kept;
void (*shim_queueing)(const struct work_struct *work);

static const struct worker *running(const struct work_struct *work)
{
	struct workqueue_struct *q;
	int i;

	for (q = queues; q; q = q->next)
		for (i = 0; i < q->worker_count; i++)
			if (q->workers[i].work == work)
				return &q->workers[i];
	return NULL;
}

/* The first item that is not running: two workers never run the same item. */
static struct work_struct *take_work(struct workqueue_struct *q)
{
	struct work_struct **at, *work;

	if (short_of_memory && !q->reclaim)
		return NULL;
	for (at = &q->first; *at; at = &(*at)->next) {
		work = *at;
		if (running(work) || work == shim_kept)
			continue;
		*at = work->next;
		if (q->last == &work->next)
			q->last = at;
		return work;
	}
	return NULL;
}

static void worker_thread(void *argument)
{
	struct worker *me = argument;
	struct workqueue_struct *q = me->queue;
	struct work_struct *work;

	while (!q->ending || q->first) {
		work = take_work(q);
		if (!work) {
			sched_wait(q, SCHED_FOREVER, q->name);
			continue;
		}
		me->work = work;
		work->pending = false;
		shim_acquire(work);
		shim_acquire(&queues); /* it may have run before */
		work->func(work);
		if (local()->atomic_depth || local()->rcu_depth)
			fail("a work item ended in atomic context");
		shim_release(&me->ended);
		shim_release(&queues);
		me->work = NULL;
		sched_wake(q);
		sched_wake(&queues);
	}
	me->started = false;
	sched_wake(&queues);
}

struct workqueue_struct *alloc_workqueue(const char *format, unsigned int flags, int max, ...)
{
	struct workqueue_struct *q = calloc(1, sizeof(*q));
	va_list arguments;

	va_start(arguments, max);
	vsnprintf(q->name, sizeof(q->name), format, arguments);
	va_end(arguments);
	q->worker_count = max == 1 ? 1 : WORKERS_MAX;
	q->reclaim = flags & WQ_MEM_RECLAIM;
	q->last = &q->first;
	q->next = queues;
	queues = q;
	return q;
}

static void start_worker(struct workqueue_struct *q)
{
	int i;

	for (i = 0; i < q->worker_count; i++)
		if (!q->workers[i].started || !q->workers[i].work)
			break;
	if (i == q->worker_count || q->workers[i].started)
		return;
	q->workers[i].started = true;
	q->workers[i].queue = q;
	sched_spawn(q->name, worker_thread, &q->workers[i]);
}

bool queue_work(struct workqueue_struct *queue, struct work_struct *work)
{
	struct workqueue_struct *q = queue ? queue : system_queue();

	shim_full_barrier();
	if (shim_queueing)
		shim_queueing(work);
	shim_release(work);
	if (!work->func)
		fail("work without a function");
	if (work->pending)
		return false;
	work->pending = true;
	work->next = NULL;
	*q->last = work;
	q->last = &work->next;
	start_worker(q);
	sched_wake(q);
	sched_step();
	return true;
}

static struct workqueue_struct *system_queue(void)
{
	if (!system_wq)
		system_wq = alloc_workqueue("events", 0, 0);
	return system_wq;
}

static bool unlink_work(struct work_struct *work)
{
	struct workqueue_struct *q;
	struct work_struct **at;

	for (q = queues; q; q = q->next)
		for (at = &q->first; *at; at = &(*at)->next)
			if (*at == work) {
				*at = work->next;
				if (q->last == &work->next)
					q->last = at;
				work->pending = false;
				return true;
			}
	return false;
}

static void await_work(struct work_struct *work, const char *where)
{
	const struct worker *w;

	while ((w = running(work)))
		sched_wait(&queues, SCHED_FOREVER, where);
	for (struct workqueue_struct *q = queues; q; q = q->next)
		for (int i = 0; i < q->worker_count; i++)
			shim_acquire(&q->workers[i].ended);
}

bool cancel_work_sync(struct work_struct *work)
{
	bool was;

	shim_might_sleep("cancel_work_sync");
	was = unlink_work(work);
	await_work(work, "cancel_work_sync");
	return unlink_work(work) || was; /* it may have queued itself */
}

bool flush_work(struct work_struct *work)
{
	shim_might_sleep("flush_work");
	while (work->pending)
		sched_wait(&queues, SCHED_FOREVER, "flush_work");
	await_work(work, "flush_work");
	return true;
}

static bool is_busy(const struct workqueue_struct *q)
{
	int i;

	for (i = 0; i < q->worker_count; i++)
		if (q->workers[i].work)
			return true;
	return q->first;
}

/* Stricter than the kernel's: what was queued meanwhile is waited for too. */
void flush_workqueue(struct workqueue_struct *q)
{
	int i;

	shim_might_sleep("flush_workqueue");
	while (is_busy(q))
		sched_wait(&queues, SCHED_FOREVER, "flush_workqueue");
	for (i = 0; i < q->worker_count; i++)
		shim_acquire(&q->workers[i].ended);
}

void destroy_workqueue(struct workqueue_struct *q)
{
	struct workqueue_struct **at = &queues;
	int i;

	shim_might_sleep("destroy_workqueue");
	q->ending = true;
	sched_wake(q);
	for (i = 0; i < q->worker_count; i++)
		while (q->workers[i].started)
			sched_wait(&queues, SCHED_FOREVER, "destroy_workqueue");
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
}

static void delay_over(struct timer_list *timer)
{
	struct delayed_work *work = container_of(timer, struct delayed_work, timer);

	work->work.pending = false;
	queue_work(work->queue, &work->work);
}

void shim_init_delayed_work(struct delayed_work *work, work_func_t fn)
{
	*work = (struct delayed_work){ .work.func = fn };
	timer_setup(&work->timer, delay_over, 0);
}

bool queue_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
			unsigned long delay)
{
	shim_full_barrier();
	if (work->work.pending)
		return false;
	shim_release(&work->work);
	work->queue = queue;
	if (!delay)
		return queue_work(queue, &work->work);
	work->work.pending = true;
	mod_timer(&work->timer, jiffies + delay);
	return true;
}

bool mod_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
		      unsigned long delay)
{
	bool was = work->work.pending;

	if (work->timer.pending) {
		unlink_timer(&work->timer);
		work->work.pending = false;
	}
	queue_delayed_work(queue, work, delay);
	return was;
}

bool flush_delayed_work(struct delayed_work *work)
{
	if (timer_delete_sync(&work->timer))
		delay_over(&work->timer);
	return flush_work(&work->work);
}

bool cancel_delayed_work(struct delayed_work *work)
{
	bool was = work->timer.pending;

	if (was) {
		unlink_timer(&work->timer);
		work->work.pending = false;
	}
	return unlink_work(&work->work) || was;
}

bool cancel_delayed_work_sync(struct delayed_work *work)
{
	bool was = false;

	shim_might_sleep("cancel_delayed_work_sync");
	do {
		if (timer_delete_sync(&work->timer)) {
			work->work.pending = false;
			was = true;
		}
		was |= cancel_work_sync(&work->work);
	} while (work->timer.pending);
	return was;
}

/* ---- memory ---- */

#define PAGES_MAX 4096

static struct {
	struct page *at[PAGES_MAX]; /* open addressing; freed ones stay as gaps */
	u32 count;
} pages;
static struct page gap;
struct page *shim_zero_page;

void shim_pressure(bool on)
{
	struct workqueue_struct *q;

	short_of_memory = on;
	sched_wake(&short_of_memory);
	for (q = queues; q; q = q->next)
		sched_wake(q);
}

/* Reclaim may write pages to the very disk that hangs. */
static void reclaim(gfp_t flags)
{
	if (flags & GFP_ATOMIC)
		return;
	shim_might_sleep("an allocation");
	while (short_of_memory && flags & __GFP_IO && !local()->noio)
		sched_wait(&short_of_memory, SCHED_FOREVER, "an allocation that does I/O");
}

void *shim_alloc(size_t len, gfp_t flags)
{
	reclaim(flags);
	return flags & __GFP_ZERO ? calloc(1, len) : malloc(len);
}

unsigned int memalloc_noio_save(void)
{
	unsigned int was = local()->noio;

	local()->noio = true;
	return was;
}

void memalloc_noio_restore(unsigned int flags)
{
	local()->noio = flags;
}

static struct page **find_page(u64 pfn)
{
	u32 i = pfn * 2654435761u % PAGES_MAX, tries;

	for (tries = 0; pages.at[i] && tries < PAGES_MAX; tries++, i = (i + 1) % PAGES_MAX)
		if (pages.at[i]->pfn == pfn)
			return &pages.at[i];
	return NULL;
}

static void add_page(struct page *page)
{
	u32 i = page->pfn * 2654435761u % PAGES_MAX;

	if (++pages.count > PAGES_MAX / 2)
		fail("too many pages");
	while (pages.at[i] && pages.at[i] != &gap)
		i = (i + 1) % PAGES_MAX;
	pages.at[i] = page;
}

const struct shim_memory *shim_memory;

struct page *alloc_page(gfp_t flags)
{
	struct page *page = calloc(1, sizeof(*page));
	void *memory = shim_memory ? shim_memory->take(1) : aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	reclaim(flags);
	memset(memory, flags & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE);
	page->pfn = PHYS_PFN(virt_to_phys(memory));
	page->count = 1;
	page->memory = memory;
	add_page(page);
	return page;
}

unsigned long get_zeroed_page(gfp_t flags)
{
	return (unsigned long)(uintptr_t)page_address(alloc_page(flags | __GFP_ZERO));
}

/* Any other address is the slab's, or the stack's. */
struct page *pfn_to_page(u64 pfn)
{
	static struct page other = { .slab = true };
	struct page **at = find_page(pfn);

	return at ? *at : &other;
}

void get_page(struct page *page)
{
	if (page->count <= 0)
		fail("get_page() of a page that is free");
	page->count++;
}

bool folio_try_get(struct folio *folio)
{
	if (!folio->page.count)
		return false;
	get_page(&folio->page);
	return true;
}

void put_page(struct page *page)
{
	if (page->count <= 0)
		fail("put_page() of a page that is free");
	shim_release(page);
	if (--page->count)
		return;
	shim_acquire(page);
	*find_page(page->pfn) = &gap;
	pages.count--;
	if (shim_memory)
		shim_memory->give(page_address(page), 1);
	else
		free(page_address(page));
	free(page);
}

void free_page(unsigned long at)
{
	if (at)
		put_page(*find_page(PHYS_PFN(at)));
}

u32 shim_page_count(void)
{
	return pages.count;
}

/* ---- messages and modules ---- */

bool shim_quiet;
struct module shim_module;
static char log_text[1 << 20];
static size_t log_len;

void shim_log(const char *level, const char *format, ...)
{
	char *line = log_text + log_len;
	va_list arguments;

	if (log_len + 512 > sizeof(log_text))
		return;
	va_start(arguments, format);
	log_len += (size_t)vsnprintf(line, 500, format, arguments) + 1;
	va_end(arguments);
	shim_release(log_text);
	if (!shim_quiet)
		fprintf(stderr, "# %8.2f %s: %s", (double)sched_now() / HZ, level, line);
}

u32 shim_log_count(const char *words)
{
	const char *line;
	u32 count = 0;

	shim_acquire(log_text);
	for (line = log_text; line < log_text + log_len; line += strlen(line) + 1)
		count += strstr(line, words) != NULL;
	return count;
}

#define PARAMETERS_MAX 32

static struct {
	const char *module, *name;
	void *value;
} parameters[PARAMETERS_MAX];
static u32 parameter_count;

void shim_parameter(const char *module, const char *name, void *value)
{
	parameters[parameter_count].module = module;
	parameters[parameter_count].name = name;
	parameters[parameter_count++].value = value;
}

static void *find_parameter(const char *module, const char *name)
{
	u32 i;

	for (i = 0; i < parameter_count; i++)
		if (!strcmp(parameters[i].module, module) && !strcmp(parameters[i].name, name))
			return parameters[i].value;
	fail("%s has no parameter %s", module, name);
}

unsigned int *shim_uint(const char *module, const char *name)
{
	return find_parameter(module, name);
}

char **shim_text(const char *module, const char *name)
{
	return find_parameter(module, name);
}

static struct {
	const char *name;
	int (*init)(void);
	void (*end)(void);
} modules[4];
static u32 module_count;

void shim_module_functions(const char *module, int (*init)(void), void (*end)(void))
{
	modules[module_count].name = module;
	modules[module_count].init = init;
	modules[module_count++].end = end;
}

static u32 find_module(const char *module)
{
	u32 i;

	for (i = 0; i < module_count; i++)
		if (!strcmp(modules[i].name, module))
			return i;
	fail("no module %s", module);
}

int shim_module_load(const char *module)
{
	return modules[find_module(module)].init();
}

void shim_module_unload(const char *module)
{
	modules[find_module(module)].end();
}

bool shim_names_change;

#undef strcmp
int shim_strcmp(const char *one, const char *other)
{
	if (shim_names_change)
		sched_step();
	return strcmp(one, other);
}

int sysfs_emit(char *buffer, const char *format, ...)
{
	va_list arguments;
	int len;

	if (shim_names_change)
		sched_step();
	va_start(arguments, format);
	len = vsnprintf(buffer, PAGE_SIZE, format, arguments);
	va_end(arguments);
	return len;
}

/* ---- GUIDs ---- */

int guid_parse(const char *text, guid_t *guid)
{
	static const u8 order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	u32 i, count = 0;

	for (i = 0; form[i]; i++)
		if (form[i] == '-' ? text[i] != '-' : !isxdigit((u8)text[i]))
			return -EINVAL;
	for (i = 0; form[i]; i += form[i] == '-' ? 1 : 2)
		if (form[i] != '-')
			sscanf(text + i, "%2hhx", &guid->b[order[count++]]);
	return 0;
}
