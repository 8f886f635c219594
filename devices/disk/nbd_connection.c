// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Operations over connections that come and go. An operation is in one of three lists: waiting (for
 * a connection), sent (with the server) or finished (answered, to be looked at). libnbd's callbacks
 * only move it to the last one, because they may not call libnbd.
 */
#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/disk/nbd_connection.h"
#include "devices/disk/nbd_dial.h"
#include "devices/disk/nbd_journal.h"
#include "devices/report.h"
#include "devices/role.h"

#define CONNECT_MS	 10000u
#define RETRY_MIN_MS	 100
#define RETRY_MAX_MS	 5000
#define LEN_MAX		 (32u << 20) /* bytes of one command where the server says nothing */
#define ZERO_LEN_MAX	 (1u << 30)
#define JOURNAL_SOFT	 (32u << 20) /* bytes: from here on we flush ourselves */
#define JOURNAL_HARD	 (64u << 20) /* ... and from here on writes wait */
#define OWN_FLUSH_GAP_MS 1000 /* after one that failed */
#define SILENCE_MIN_MS \
	5000u /* a connection that says nothing for so long is dead, at the earliest */
#define SILENCE_OWN_MS 60000u /* ... with a server of our own */
#define OPERATION_FACTOR \
	5u /* limits of silence that an operation may take while others are answered */
#define CANCEL_MS  1000u
#define LOOK_MS	   1000
#define SAY_GAP_MS 10000u /* between two lines about a server that comes and goes */
#define LOSS_ALONE 3u /* an operation with which the server went away so often is sent alone */
#define LOSS_MAX   6u /* ... and fails */

struct list {
	struct vmb_dev_nbd_op head;
};

struct connection {
	struct nbd_handle *handle; /* NULL: none, or dialling */
	bool dialling, ready;
	/* when it last answered, was begun, or was asked something after a pause */
	uint64_t heard_ms;
};

enum server {
	SERVER_UP,
	SERVER_REPLAY, /* connected, the journal is written again */
	SERVER_DOWN,
};

struct vmb_dev_nbd {
	char *uri;
	uint64_t window_ms, silence_ms;
	struct vmb_dev_nbd_owner owner; /* without functions: none */
	struct vmb_dev_nbd_facts facts;
	uint64_t len_max;
	bool can_fua;

	pthread_t thread;
	bool started;
	int wake;
	pthread_mutex_t lock; /* incoming, stopping and cancels */
	struct list incoming;
	bool stopping;
	uint32_t cancels; /* how often what was under way was cancelled */

	/* the thread's */
	struct vmb_dev_nbd_dial *dial;
	enum server server;
	struct connection connections[VMB_DEV_NBD_CONNECTION_MAX];
	struct list waiting, sent, finished;
	uint64_t lost_ms, try_ms,
		gap_ms; /* when it went away, when to try, how long between tries */
	uint32_t cancels_taken; /* of cancels, when incoming was taken */
	/* when what is still with the server is given up; 0: nothing is cancelled */
	uint64_t cancel_ms;
	/* when a line about losses, or about a refusal, may be written again */
	uint64_t say_ms, say_refusal_ms;
	uint32_t unsaid; /* losses without a line */
	bool said; /* that it went away, so its return is said too */
	bool goodbye; /* it answered that it closes */
	bool expired; /* it has been away for a window: operations fail at once */
	bool shrunk; /* reported */
	bool flushing, flush_failed; /* own */
	bool flush_lost; /* the server failed at a flush: nothing is known to be durable any more */
	uint64_t flush_ms;
	struct vmb_dev_nbd_journal journal;
	struct vmb_dev_nbd_entry *replaying;
	struct vmb_dev_nbd_op replay, flush;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Lists */

static void list_init(struct list *l)
{
	l->head.prev = l->head.next = &l->head;
}

static struct vmb_dev_nbd_op *list_first(struct list *l)
{
	return l->head.next == &l->head ? NULL : l->head.next;
}

static void list_remove(struct vmb_dev_nbd_op *op)
{
	op->prev->next = op->next;
	op->next->prev = op->prev;
}

/* Before at: at the end of a list if that is its head. */
static void list_insert(struct vmb_dev_nbd_op *at, struct vmb_dev_nbd_op *op)
{
	op->next = at;
	op->prev = at->prev;
	op->prev->next = op;
	at->prev = op;
}

static void move_to(struct list *l, struct vmb_dev_nbd_op *op)
{
	list_remove(op);
	list_insert(&l->head, op);
}

/* How an operation ends */

static bool journalled(const struct vmb_dev_nbd *nbd, const struct vmb_dev_nbd_op *op)
{
	return nbd->facts.can_flush && !nbd->flush_lost && !op->replay &&
	       (op->kind == VMB_DEV_NBD_WRITE || op->kind == VMB_DEV_NBD_ZERO);
}

/* A FUA write is kept like any other: an older write to the same place may be replayed. */
static void end(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op, int error)
{
	bool kept = false;

	list_remove(op);
	if (!error && journalled(nbd, op)) {
		kept = vmb_dev_nbd_journal_add(&nbd->journal, op->offset, op->len, op->data,
					       op->may_unmap);
		error = kept ? 0 : ENOMEM;
	}
	if (!error && op->kind == VMB_DEV_NBD_FLUSH)
		vmb_dev_nbd_journal_drop(&nbd->journal, op->mark);
	if (op->kind == VMB_DEV_NBD_WRITE && !op->replay) {
		if (!kept)
			free(op->data);
		op->data = NULL;
	}
	op->ended(op, error);
}

static void fail_all(struct vmb_dev_nbd *nbd, struct list *l, int error)
{
	struct vmb_dev_nbd_op *op;

	while ((op = list_first(l)))
		end(nbd, op, error);
}

/* Sending */

/* Errors of a server that closes, whether it says so or only closes the connection. */
static bool says_goodbye(int error)
{
	return error == ENOTCONN || error == ESHUTDOWN || error == EPIPE || error == ECONNRESET;
}

/* In libnbd: the operation stays among those sent when the connection died; see lose_server. */
static int answered(void *arg, int *error)
{
	struct vmb_dev_nbd_op *op = arg;

	op->nbd->goodbye |= says_goodbye(*error);
	if (says_goodbye(*error))
		return 1;
	op->nbd->connections[op->connection].heard_ms = now_ms();
	op->error = *error;
	move_to(&op->nbd->finished, op);
	return 1;
}

static uint64_t piece_len(const struct vmb_dev_nbd *nbd, const struct vmb_dev_nbd_op *op)
{
	uint64_t left = op->len - op->done_len;
	uint64_t max = op->kind == VMB_DEV_NBD_ZERO ? ZERO_LEN_MAX : nbd->len_max;

	return left < max ? left : max;
}

static int64_t command(struct vmb_dev_nbd *nbd, struct nbd_handle *handle,
		       struct vmb_dev_nbd_op *op)
{
	const nbd_completion_callback done = { .callback = answered, .user_data = op };
	uint32_t flags = op->fua && nbd->can_fua ? LIBNBD_CMD_FLAG_FUA : 0;
	uint64_t at = op->offset + op->done_len;

	op->sent_len = piece_len(nbd, op);
	if (op->kind == VMB_DEV_NBD_FLUSH || op->syncing)
		return nbd_aio_flush(handle, done, 0);
	if (op->kind == VMB_DEV_NBD_READ)
		return nbd_aio_pread(handle, op->data + op->done_len, op->sent_len, at, done, 0);
	if (op->kind == VMB_DEV_NBD_WRITE)
		return nbd_aio_pwrite(handle, op->data + op->done_len, op->sent_len, at, done,
				      flags);
	if (!op->may_unmap)
		flags |= LIBNBD_CMD_FLAG_NO_HOLE;
	return nbd_aio_zero(handle, op->sent_len, at, done, flags);
}

/* The connection with the least to do; NULL: none is ready. */
static struct connection *pick(struct vmb_dev_nbd *nbd)
{
	struct connection *best = NULL, *c;

	for (uint32_t i = 0; i < nbd->facts.connection_count; i++) {
		c = &nbd->connections[i];
		if (c->ready && nbd_aio_is_dead(c->handle) == 0 &&
		    (!best || nbd_aio_in_flight(c->handle) < nbd_aio_in_flight(best->handle)))
			best = c;
	}
	return best;
}

/* op is in a list, to which it goes back when no connection takes it. */
static bool send_op(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op)
{
	struct connection *c = nbd->server == SERVER_REPLAY ? &nbd->connections[0] : pick(nbd);

	if (!c)
		return false;
	if (op->kind == VMB_DEV_NBD_FLUSH)
		op->mark = nbd->journal.last_number;
	if (nbd_aio_in_flight(c->handle) == 0)
		c->heard_ms = now_ms();
	op->connection = c - nbd->connections;
	move_to(&nbd->sent, op);
	if (command(nbd, c->handle, op) >= 0)
		return true;
	if (nbd_aio_is_ready(c->handle) > 0 || nbd_aio_is_processing(c->handle) > 0) {
		op->error = EIO; /* libnbd knows that the server cannot do this */
		move_to(&nbd->finished, op);
	}
	return true;
}

static void replayed(struct vmb_dev_nbd_op *op, int error);

static void replay_next(struct vmb_dev_nbd *nbd)
{
	struct vmb_dev_nbd_entry *entry = nbd->replaying;

	if (!entry) {
		nbd->server = SERVER_UP;
		nbd->expired = false;
		if (nbd->said)
			vmb_dev_report("%s: the server is back", nbd->uri);
		return;
	}
	nbd->replay = (struct vmb_dev_nbd_op){
		.kind = entry->data ? VMB_DEV_NBD_WRITE : VMB_DEV_NBD_ZERO,
		.may_unmap = entry->may_unmap,
		.offset = entry->offset,
		.len = entry->len,
		.data = entry->data,
		.ended = replayed,
		.nbd = nbd,
		.since_ms = now_ms(),
		.replay = true,
	};
	list_insert(&nbd->finished.head, &nbd->replay);
	send_op(nbd, &nbd->replay);
}

static void disconnect(struct vmb_dev_nbd *nbd);

/*
 * If the server refuses a write that it accepted before, ask it again later, and send nothing else
 * meanwhile.
 */
static void replayed(struct vmb_dev_nbd_op *op, int error)
{
	struct vmb_dev_nbd *nbd = op->nbd;

	if (error) {
		nbd->gap_ms = RETRY_MAX_MS;
		if (now_ms() >= nbd->say_refusal_ms) {
			vmb_dev_report("%s: the server refuses a write that it took before: %s",
				       nbd->uri, strerror(error));
			nbd->say_refusal_ms = now_ms() + SAY_GAP_MS;
		}
		disconnect(nbd);
		return;
	}
	nbd->replaying = nbd->replaying->next;
	replay_next(nbd);
}

static void flushed(struct vmb_dev_nbd_op *op, int error)
{
	op->nbd->flushing = false;
	op->nbd->flush_failed = error;
	op->nbd->flush_ms = now_ms();
}

/* The journal is full: what is in it is made durable. */
static void flush_journal(struct vmb_dev_nbd *nbd)
{
	if (nbd->flushing || nbd->journal.held_len < JOURNAL_SOFT ||
	    (nbd->flush_failed && now_ms() - nbd->flush_ms < OWN_FLUSH_GAP_MS))
		return;
	nbd->flush = (struct vmb_dev_nbd_op){ .kind = VMB_DEV_NBD_FLUSH,
					      .ended = flushed,
					      .nbd = nbd,
					      .since_ms = now_ms(),
					      .cancels = nbd->cancels_taken };
	nbd->flushing = true;
	list_insert(&nbd->waiting.head, &nbd->flush);
}

static bool may_send(const struct vmb_dev_nbd *nbd, const struct vmb_dev_nbd_op *op)
{
	return !journalled(nbd, op) || nbd->journal.held_len < JOURNAL_HARD;
}

static bool goes_alone(const struct vmb_dev_nbd_op *op)
{
	return op && op->lost_count >= LOSS_ALONE;
}

static void send_waiting(struct vmb_dev_nbd *nbd)
{
	struct vmb_dev_nbd_op *op, *next;

	if (nbd->server != SERVER_UP)
		return;
	flush_journal(nbd);
	for (op = nbd->waiting.head.next; op != &nbd->waiting.head; op = next) {
		next = op->next;
		if (goes_alone(list_first(&nbd->sent)) ||
		    (goes_alone(op) && list_first(&nbd->sent)))
			return;
		if (may_send(nbd, op) && !send_op(nbd, op))
			return;
	}
}

/* Answers */

/*
 * The server says so once, perhaps to a flush of our own. Copies of what was written help nobody
 * then.
 */
static void lose_flush(struct vmb_dev_nbd *nbd)
{
	nbd->flush_lost = true;
	vmb_dev_nbd_journal_drop(&nbd->journal, UINT64_MAX);
}

static void look_at(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op)
{
	bool data_done;

	/* The server went away meanwhile: the next one gets the journal from its beginning. */
	if (op->replay && nbd->server != SERVER_REPLAY) {
		list_remove(op);
		return;
	}
	if (op->error && (op->kind == VMB_DEV_NBD_FLUSH || op->syncing))
		lose_flush(nbd);
	if (!op->error && nbd->flush_lost && (op->kind == VMB_DEV_NBD_FLUSH || op->fua))
		op->error = EIO;
	if (op->error) {
		end(nbd, op, op->error);
		return;
	}
	data_done = op->syncing || op->kind == VMB_DEV_NBD_FLUSH;
	if (!data_done) {
		op->done_len += op->sent_len;
		data_done = op->done_len == op->len;
		op->syncing = data_done && op->fua && !nbd->can_fua && nbd->facts.can_flush &&
			      op->kind != VMB_DEV_NBD_READ;
		data_done = data_done && !op->syncing;
	}
	if (data_done)
		end(nbd, op, 0);
	else if (op->replay)
		send_op(nbd, op);
	else {
		op->since_ms = now_ms(); /* of what is left */
		move_to(&nbd->waiting, op);
	}
}

static void look_at_finished(struct vmb_dev_nbd *nbd)
{
	struct vmb_dev_nbd_op *op;

	if (list_first(&nbd->finished))
		nbd->gap_ms = RETRY_MIN_MS;
	while ((op = list_first(&nbd->finished)))
		look_at(nbd, op);
}

/* Connections */

static void close_connection(struct vmb_dev_nbd *nbd, uint32_t index)
{
	struct connection *c = &nbd->connections[index];

	if (c->dialling)
		vmb_dev_nbd_dial_drop(nbd->dial, index);
	nbd_close(c->handle);
	*c = (struct connection){ .handle = NULL };
}

static void disconnect(struct vmb_dev_nbd *nbd)
{
	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++)
		close_connection(nbd, i);
	if (nbd->server == SERVER_UP)
		nbd->lost_ms = now_ms();
	nbd->server = SERVER_DOWN;
	nbd->goodbye = false; /* closing said it */
	nbd->try_ms = now_ms() + nbd->gap_ms;
}

/* A server may come and go as often as it likes, and a guest may make it do so. */
static void say_loss(struct vmb_dev_nbd *nbd)
{
	char times[64] = "";

	nbd->said = now_ms() >= nbd->say_ms;
	if (!nbd->said) {
		nbd->unsaid++;
		return;
	}
	if (nbd->unsaid)
		snprintf(times, sizeof(times), " (for the %uth time since the last such line)",
			 nbd->unsaid + 1);
	vmb_dev_report("%s: the server went away%s; trying to reach it again", nbd->uri, times);
	nbd->unsaid = 0;
	nbd->say_ms = now_ms() + SAY_GAP_MS;
}

/*
 * What was with the server goes to the front of what waits, in its order. It begins anew: whether
 * the server did it or not, doing it again makes no difference.
 */
static void lose_server(struct vmb_dev_nbd *nbd)
{
	struct vmb_dev_nbd_op *op, *front;

	if (nbd->server == SERVER_UP)
		say_loss(nbd);
	disconnect(nbd);
	look_at_finished(nbd);
	front = nbd->waiting.head.next;
	while ((op = list_first(&nbd->sent))) {
		list_remove(op);
		op->done_len = 0;
		op->syncing = false;
		op->lost_count++;
		if (!op->replay)
			list_insert(front, op);
	}
}

static struct nbd_handle *new_handle(void)
{
	struct nbd_handle *handle = nbd_create();

	if (handle)
		nbd_set_request_structured_replies(handle, true);
	return handle;
}

static bool begin_connection(struct vmb_dev_nbd *nbd, uint32_t index)
{
	struct connection *c = &nbd->connections[index];
	struct nbd_handle *handle = new_handle();

	c->heard_ms = now_ms();
	c->dialling = handle && vmb_dev_nbd_dial(nbd->dial, index, handle);
	if (!c->dialling)
		nbd_close(handle);
	return c->dialling;
}

static bool is_over(struct nbd_handle *handle)
{
	return nbd_aio_is_dead(handle) > 0 || nbd_aio_is_closed(handle) > 0;
}

/* The server of before: the same export, no smaller. */
static bool same_export(struct vmb_dev_nbd *nbd, struct nbd_handle *handle)
{
	bool same = nbd_get_size(handle) >= (int64_t)nbd->facts.len &&
		    (nbd->facts.read_only || nbd_is_read_only(handle) == 0);

	if (!same && !nbd->shrunk)
		vmb_dev_report("%s: the export is smaller now, or read-only; it is not used as it "
			       "is",
			       nbd->uri);
	nbd->shrunk = !same;
	return same;
}

/* The first connection is ready: replay the journal before anything else. */
static void first_ready(struct vmb_dev_nbd *nbd)
{
	if (!same_export(nbd, nbd->connections[0].handle)) {
		disconnect(nbd);
		return;
	}
	nbd->server = SERVER_REPLAY;
	nbd->replaying = nbd->journal.first;
	for (uint32_t i = 1; i < nbd->facts.connection_count; i++)
		begin_connection(nbd, i);
	replay_next(nbd);
}

/* Returns whether a connection was not made in time, or whether its server no longer answers. */
static bool is_silent(const struct vmb_dev_nbd *nbd, const struct connection *c)
{
	uint64_t limit = c->ready ? nbd->silence_ms : CONNECT_MS;
	bool owes_nothing = c->handle ? c->ready && nbd_aio_in_flight(c->handle) <= 0 :
					!c->dialling;

	return !owes_nothing && now_ms() - c->heard_ms >= limit;
}

/* Takes the handle back from the dialling thread. */
static void watch_dialling(struct vmb_dev_nbd *nbd, uint32_t index)
{
	struct connection *c = &nbd->connections[index];
	enum vmb_dev_nbd_dialled said = VMB_DEV_NBD_DIALLING;

	if (c->dialling)
		said = vmb_dev_nbd_dialled(nbd->dial, index, &c->handle);
	if (said == VMB_DEV_NBD_DIALLING)
		return;
	c->dialling = false;
	if (said == VMB_DEV_NBD_DIAL_FAILED && index == 0)
		nbd->try_ms = now_ms() + nbd->gap_ms;
}

static void watch_connection(struct vmb_dev_nbd *nbd, uint32_t index)
{
	struct connection *c = &nbd->connections[index];

	watch_dialling(nbd, index);
	if (index && !c->ready && is_silent(nbd, c))
		close_connection(nbd, index); /* an additional connection is optional */
	if (!c->handle)
		return;
	if (index && !c->ready && is_over(c->handle)) {
		close_connection(nbd, index);
	} else if (is_over(c->handle)) {
		lose_server(nbd);
	} else if (!c->ready && nbd_aio_is_ready(c->handle) > 0) {
		c->ready = true;
		if (index == 0)
			first_ready(nbd);
	}
}

static void try_again(struct vmb_dev_nbd *nbd)
{
	if (nbd->server != SERVER_DOWN || nbd->connections[0].handle ||
	    nbd->connections[0].dialling || now_ms() < nbd->try_ms)
		return;
	nbd->gap_ms = 2 * nbd->gap_ms < RETRY_MAX_MS ? 2 * nbd->gap_ms : RETRY_MAX_MS;
	if (!begin_connection(nbd, 0))
		nbd->try_ms = now_ms() + nbd->gap_ms;
}

static bool takes_too_long(const struct vmb_dev_nbd *nbd)
{
	const struct vmb_dev_nbd_op *op = nbd->sent.head.next;
	uint64_t limit = OPERATION_FACTOR * nbd->silence_ms;

	while (op != &nbd->sent.head && now_ms() - op->since_ms < limit)
		op = op->next;
	return op != &nbd->sent.head;
}

static void watch_silence(struct vmb_dev_nbd *nbd)
{
	bool dead = nbd->goodbye || takes_too_long(nbd);

	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++)
		dead = dead || is_silent(nbd, &nbd->connections[i]);
	if (!dead)
		return;
	if (!nbd->goodbye && nbd->owner.restart)
		nbd->owner.restart(nbd->owner.arg);
	lose_server(nbd);
}

/* Operations that have waited long enough, or that the server does not survive. */
static void watch_operations(struct vmb_dev_nbd *nbd)
{
	uint64_t limit = nbd->server == SERVER_UP ? nbd->silence_ms : nbd->window_ms;
	struct vmb_dev_nbd_op *op, *next;

	if (nbd->owner.restart) /* the next one has its time too */
		limit = nbd->silence_ms + nbd->window_ms;
	for (op = nbd->waiting.head.next; op != &nbd->waiting.head; op = next) {
		next = op->next;
		if (op->lost_count >= LOSS_MAX)
			end(nbd, op, ETIMEDOUT);
		else if (now_ms() - op->since_ms >= limit)
			end(nbd, op, ENOTCONN);
	}
}

static void watch_window(struct vmb_dev_nbd *nbd)
{
	if (nbd->server == SERVER_UP || (!nbd->expired && now_ms() - nbd->lost_ms < nbd->window_ms))
		return;
	if (!nbd->expired && nbd->said)
		vmb_dev_report("%s: the server stays away; the disk answers with errors until it "
			       "is back",
			       nbd->uri);
	nbd->expired = true;
	fail_all(nbd, &nbd->waiting, ENOTCONN);
}

/* The first from op on that was submitted before the last cancel. */
static struct vmb_dev_nbd_op *find_cancelled(const struct vmb_dev_nbd *nbd, const struct list *l,
					     struct vmb_dev_nbd_op *op)
{
	while (op != &l->head && op->cancels == nbd->cancels_taken)
		op = op->next;
	return op == &l->head ? NULL : op;
}

static void fail_cancelled(struct vmb_dev_nbd *nbd)
{
	struct vmb_dev_nbd_op *op = nbd->waiting.head.next, *next;

	while ((op = find_cancelled(nbd, &nbd->waiting, op))) {
		next = op->next;
		end(nbd, op, ECANCELED);
		op = next;
	}
}

static void watch_cancel(struct vmb_dev_nbd *nbd)
{
	if (!nbd->cancel_ms)
		return;
	fail_cancelled(nbd);
	if (nbd->server == SERVER_UP && find_cancelled(nbd, &nbd->sent, nbd->sent.head.next)) {
		if (now_ms() < nbd->cancel_ms)
			return;
		lose_server(nbd);
		fail_cancelled(nbd);
	}
	nbd->cancel_ms = 0;
}

/* The thread */

static bool take_incoming(struct vmb_dev_nbd *nbd)
{
	struct vmb_dev_nbd_op *op;
	bool stopping;

	pthread_mutex_lock(&nbd->lock);
	while ((op = list_first(&nbd->incoming)))
		move_to(&nbd->waiting, op);
	if (nbd->cancels_taken != nbd->cancels)
		nbd->cancel_ms = now_ms() + CANCEL_MS;
	nbd->cancels_taken = nbd->cancels;
	stopping = nbd->stopping;
	pthread_mutex_unlock(&nbd->lock);
	return !stopping;
}

/* Returns in how many ms something must be done without an event; -1: nothing. */
static int timeout(struct vmb_dev_nbd *nbd)
{
	if (nbd->server != SERVER_UP || nbd->cancel_ms)
		return RETRY_MIN_MS;
	return nbd->flush_failed || list_first(&nbd->sent) || list_first(&nbd->waiting) ? LOOK_MS :
											  -1;
}

static void wait_for_events(struct vmb_dev_nbd *nbd)
{
	struct pollfd fds[1 + VMB_DEV_NBD_CONNECTION_MAX] = { { nbd->wake, POLLIN, 0 } };
	struct nbd_handle *handle;
	unsigned int direction;
	uint64_t count;

	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++) {
		handle = nbd->connections[i].handle;
		fds[1 + i].fd = handle ? nbd_aio_get_fd(handle) : -1;
		direction = handle ? nbd_aio_get_direction(handle) : 0;
		fds[1 + i].events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				    (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
	}
	poll(fds, 1 + VMB_DEV_NBD_CONNECTION_MAX, timeout(nbd));
	if (fds[0].revents && read(nbd->wake, &count, sizeof(count)) < 0)
		return;
	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++) {
		handle = nbd->connections[i].handle;
		if (!handle || !fds[1 + i].revents)
			continue;
		direction = nbd_aio_get_direction(handle);
		if (fds[1 + i].revents & (POLLIN | POLLHUP | POLLERR) &&
		    direction & LIBNBD_AIO_DIRECTION_READ)
			nbd_aio_notify_read(handle);
		else if (direction & LIBNBD_AIO_DIRECTION_WRITE)
			nbd_aio_notify_write(handle);
	}
}

/* A server that is told goodbye keeps what it answered; one that just loses us may be slow to. */
static void say_goodbye(struct vmb_dev_nbd *nbd)
{
	for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++) {
		if (nbd->connections[i].ready)
			nbd_aio_disconnect(nbd->connections[i].handle, 0);
		close_connection(nbd, i);
	}
}

static void abandon(struct vmb_dev_nbd *nbd, struct list *l)
{
	struct vmb_dev_nbd_op *op;

	while ((op = list_first(l)))
		if (op->replay)
			list_remove(op);
		else
			end(nbd, op, ECANCELED);
}

static void *work(void *arg)
{
	struct vmb_dev_nbd *nbd = arg;

	vmb_dev_role_enter(VMB_DEV_ROLE_NBD);
	while (take_incoming(nbd)) {
		for (uint32_t i = 0; i < VMB_DEV_NBD_CONNECTION_MAX; i++)
			watch_connection(nbd, i);
		look_at_finished(nbd);
		watch_silence(nbd);
		watch_cancel(nbd);
		try_again(nbd);
		watch_window(nbd);
		watch_operations(nbd);
		send_waiting(nbd);
		if (!list_first(&nbd->finished))
			wait_for_events(nbd);
	}
	say_goodbye(nbd);
	abandon(nbd, &nbd->waiting);
	abandon(nbd, &nbd->sent);
	abandon(nbd, &nbd->finished);
	if (nbd->owner.leave)
		nbd->owner.leave(nbd->owner.arg);
	return NULL;
}

static void wake(struct vmb_dev_nbd *nbd)
{
	uint64_t one = 1;

	if (write(nbd->wake, &one, sizeof(one)) < 0)
		return;
}

void vmb_dev_nbd_submit(struct vmb_dev_nbd *nbd, struct vmb_dev_nbd_op *op)
{
	op->nbd = nbd;
	op->done_len = 0;
	op->error = 0;
	op->lost_count = 0;
	op->since_ms = now_ms();
	op->syncing = op->replay = false;
	pthread_mutex_lock(&nbd->lock);
	op->cancels = nbd->cancels;
	list_insert(&nbd->incoming.head, op);
	pthread_mutex_unlock(&nbd->lock);
	wake(nbd);
}

/* Coming and going */

static void explain(char *why, uint32_t why_len)
{
	const char *text = nbd_get_error();

	/* libnbd puts the function's name before what it says */
	if (text && strchr(text, ':'))
		text = strchr(text, ':') + 2;
	snprintf(why, why_len, "%s", text ? text : "no answer");
}

static bool connect_first(struct vmb_dev_nbd *nbd, char *why, uint32_t why_len)
{
	struct connection *c = &nbd->connections[0];
	uint64_t until = now_ms() + CONNECT_MS;

	c->handle = new_handle();
	if (!c->handle || nbd_aio_connect_uri(c->handle, nbd->uri) < 0) {
		explain(why, why_len);
		return false;
	}
	while (!is_over(c->handle) && nbd_aio_is_ready(c->handle) <= 0) {
		if (now_ms() >= until) {
			snprintf(why, why_len, "no answer in %u s", CONNECT_MS / 1000);
			return false;
		}
		if (nbd_poll(c->handle, RETRY_MIN_MS) < 0)
			break;
	}
	c->ready = nbd_aio_is_ready(c->handle) > 0;
	if (!c->ready)
		explain(why, why_len);
	return c->ready;
}

static void learn(struct vmb_dev_nbd *nbd)
{
	struct nbd_handle *handle = nbd->connections[0].handle;
	int64_t max = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM);
	int64_t min = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM);

	nbd->facts.len = nbd_get_size(handle);
	nbd->facts.block_len_min = min > 0 ? (uint32_t)min : 1;
	nbd->facts.read_only = nbd_is_read_only(handle) != 0;
	nbd->facts.can_zero = nbd_can_zero(handle) > 0;
	nbd->facts.can_flush = nbd_can_flush(handle) > 0;
	nbd->facts.connection_count = nbd_can_multi_conn(handle) > 0 ? VMB_DEV_NBD_CONNECTION_MAX :
								       1;
	nbd->can_fua = nbd_can_fua(handle) > 0;
	nbd->len_max = max > 0 && max < LEN_MAX ? (uint64_t)max : LEN_MAX;
}

struct vmb_dev_nbd *vmb_dev_nbd_connect(const char *uri, unsigned int window_s, char *why,
					uint32_t why_len)
{
	struct vmb_dev_nbd *nbd = calloc(1, sizeof(*nbd));

	snprintf(why, why_len, "%s", strerror(ENOMEM));
	if (!nbd)
		return NULL;
	list_init(&nbd->incoming);
	list_init(&nbd->waiting);
	list_init(&nbd->sent);
	list_init(&nbd->finished);
	vmb_dev_nbd_journal_init(&nbd->journal);
	pthread_mutex_init(&nbd->lock, NULL);
	nbd->window_ms = window_s * 1000ull;
	nbd->gap_ms = RETRY_MIN_MS;
	nbd->uri = strdup(uri);
	nbd->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (nbd->uri && nbd->wake >= 0 && connect_first(nbd, why, why_len)) {
		learn(nbd);
		return nbd;
	}
	vmb_dev_nbd_close(nbd);
	return NULL;
}

const struct vmb_dev_nbd_facts *vmb_dev_nbd_facts(const struct vmb_dev_nbd *nbd)
{
	return &nbd->facts;
}

int vmb_dev_nbd_start(struct vmb_dev_nbd *nbd, const struct vmb_dev_nbd_owner *owner)
{
	uint64_t silence_ms = owner ? SILENCE_OWN_MS : SILENCE_MIN_MS;
	int error;

	nbd->silence_ms = nbd->window_ms > silence_ms ? nbd->window_ms : silence_ms;
	if (owner)
		nbd->owner = *owner;
	nbd->dial = vmb_dev_nbd_dial_start(nbd->uri, nbd->wake);
	if (!nbd->dial)
		return -errno;
	for (uint32_t i = 1; i < nbd->facts.connection_count; i++)
		begin_connection(nbd, i);
	error = pthread_create(&nbd->thread, NULL, work, nbd);
	nbd->started = !error;
	return -error;
}

void vmb_dev_nbd_cancel(struct vmb_dev_nbd *nbd)
{
	pthread_mutex_lock(&nbd->lock);
	nbd->cancels++;
	pthread_mutex_unlock(&nbd->lock);
	wake(nbd);
}

void vmb_dev_nbd_leave(struct vmb_dev_nbd *nbd)
{
	if (!nbd)
		return;
	pthread_mutex_lock(&nbd->lock);
	nbd->stopping = true;
	pthread_mutex_unlock(&nbd->lock);
	wake(nbd);
}

void vmb_dev_nbd_close(struct vmb_dev_nbd *nbd)
{
	if (!nbd)
		return;
	vmb_dev_nbd_leave(nbd);
	if (nbd->started)
		pthread_join(nbd->thread, NULL);
	say_goodbye(nbd); /* if there was no thread */
	vmb_dev_nbd_dial_end(nbd->dial);
	vmb_dev_nbd_journal_drop(&nbd->journal, UINT64_MAX);
	if (nbd->wake >= 0)
		close(nbd->wake);
	pthread_mutex_destroy(&nbd->lock);
	free(nbd->uri);
	free(nbd);
}
