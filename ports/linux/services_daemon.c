// SPDX-License-Identifier: GPL-2.0-only
/*
 * A character device between the host's requests and the daemon in user space that carries them
 * out. Its name, its messages and its errors are those of Linux's own driver
 * (docs/protocol/integration.md, "15.1 Character devices").
 *
 * An open device outlives its service: the host may take the channel away at any time, and nobody
 * waits then for the daemon to close it.
 */
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ports/linux/compat.h"
#include "ports/linux/services.h"

#define GREETING_S 10u /* for the first thing that a daemon reads */

struct daemon {
	struct miscdevice misc;
	const struct daemon_kind *kind;
	struct kref users; /* the service, and the file that is open */
	struct work_struct ask_work; /* a request came */
	struct delayed_work late_work; /* the daemon takes too long for one */
	struct mutex lock; /* of all below, and of the request's body while busy */
	wait_queue_head_t wait; /* for out_len */
	struct service *service; /* NULL: gone */
	bool open, registered;
	bool wanted; /* a request came that the daemon was not told of; also set in softirq */
	bool busy; /* the daemon has a request, or will read it */
	unsigned long deadline; /* jiffies, of the request */
	u32 out_len; /* bytes of out that wait to be read; 0: none */
	u8 out[DAEMON_MESSAGE_MAX], in[DAEMON_MESSAGE_MAX];
};

/* Its work finds no service and no request any more, but may run still. */
static void release_daemon(struct kref *users)
{
	struct daemon *d = container_of(users, struct daemon, users);

	cancel_work_sync(&d->ask_work);
	cancel_delayed_work_sync(&d->late_work);
	kfree(d);
}

/* Under the lock. */
static void end_request(struct daemon *d, u32 status)
{
	if (!d->busy)
		return;
	d->busy = false;
	if (d->service)
		service_answer(d->service, status);
}

/* Under the lock. */
static void daemon_left(struct daemon *d)
{
	if (d->service && d->kind->left)
		d->kind->left(d->service);
}

static void offer_message(struct daemon *d, u32 len)
{
	WRITE_ONCE(d->out_len, len);
	wake_up_interruptible(&d->wait);
}

/* ---- requests ---- */

static void wait_for_daemon(struct daemon *d, u32 seconds)
{
	d->deadline = jiffies + seconds * HZ;
	mod_delayed_work(system_percpu_wq, &d->late_work, seconds * HZ);
}

/* Under the lock. */
static void ask(struct daemon *d)
{
	u32 status = VMB_IC_FAIL, len;

	WRITE_ONCE(d->wanted, false);
	d->busy = true;
	memset(d->out, 0, sizeof(d->out));
	len = d->kind->ask(d->service, d->out, &status);
	if (!len || !d->registered) {
		end_request(d, len ? VMB_IC_FAIL : status);
		return;
	}
	offer_message(d, len);
	wait_for_daemon(d, d->kind->patience(d->service));
}

static void ask_work(struct work_struct *work)
{
	struct daemon *d = container_of(work, struct daemon, ask_work);

	mutex_lock(&d->lock);
	if (d->service && smp_load_acquire(&d->wanted) && !d->busy) {
		if (d->out_len) /* it has not even read that it is registered */
			wait_for_daemon(d, GREETING_S);
		else
			ask(d);
	}
	mutex_unlock(&d->lock);
}

/* What the daemon has not read yet, it need not read any more. */
static void late_work(struct work_struct *work)
{
	struct daemon *d = container_of(to_delayed_work(work), struct daemon, late_work);

	mutex_lock(&d->lock);
	if (time_before(jiffies, d->deadline))
		goto unlock; /* of an earlier request */
	if (d->busy || READ_ONCE(d->wanted)) {
		WRITE_ONCE(d->out_len, 0);
		d->busy = true;
	}
	WRITE_ONCE(d->wanted, false);
	end_request(d, VMB_IC_FAIL);
unlock:
	mutex_unlock(&d->lock);
}

int daemon_take_request(struct service *s, struct vmb_guest_ic_request *request, u32 *status)
{
	struct daemon *d = s->data;

	smp_store_release(&d->wanted, true); /* behind the request's bytes */
	schedule_work(&d->ask_work);
	return SERVICE_LATER;
}

void daemon_forget_request(struct service *s)
{
	struct daemon *d = s->data;

	mutex_lock(&d->lock);
	WRITE_ONCE(d->wanted, false);
	if (d->busy)
		WRITE_ONCE(d->out_len, 0); /* what it has not read yet */
	d->busy = false;
	mutex_unlock(&d->lock);
}

/* ---- the device ---- */

static struct daemon *daemon_of(struct file *file)
{
	return container_of(file->private_data, struct daemon, misc);
}

static int open(struct inode *inode, struct file *file)
{
	struct daemon *d = daemon_of(file);
	int rc = -EBUSY;

	mutex_lock(&d->lock);
	if (!d->open) {
		d->open = true;
		kref_get(&d->users);
		rc = 0;
	}
	mutex_unlock(&d->lock);
	return rc;
}

static int release(struct inode *inode, struct file *file)
{
	struct daemon *d = daemon_of(file);

	mutex_lock(&d->lock);
	d->open = d->registered = false;
	WRITE_ONCE(d->out_len, 0);
	daemon_left(d);
	end_request(d, VMB_IC_FAIL);
	schedule_work(&d->ask_work); /* a request may have waited for it */
	mutex_unlock(&d->lock);
	kref_put(&d->users, release_daemon);
	return 0;
}

/* Under the lock. */
static int take_message(struct daemon *d, u32 len)
{
	int reply;

	if (!d->service)
		return -EBADF;
	if (!d->registered) {
		reply = d->kind->greet(d->in, len, d->out);
		if (reply < 0)
			return reply;
		d->registered = true;
		offer_message(d, reply);
		return 0;
	}
	if (!d->busy || d->out_len || len != d->kind->answer_len)
		return -EINVAL;
	end_request(d, d->kind->take(d->service, d->in));
	return 0;
}

static ssize_t write(struct file *file, const char __user *from, size_t len, loff_t *offset)
{
	struct daemon *d = daemon_of(file);
	int rc;

	if (len > sizeof(d->in))
		return -EINVAL;
	mutex_lock(&d->lock);
	memset(d->in, 0, sizeof(d->in));
	rc = copy_from_user(d->in, from, len) ? -EFAULT : take_message(d, len);
	mutex_unlock(&d->lock);
	return rc ? rc : len;
}

static bool has_news(struct daemon *d)
{
	return READ_ONCE(d->out_len) || !READ_ONCE(d->service);
}

/* Under the lock. */
static ssize_t give_message(struct daemon *d, char __user *to, size_t room)
{
	u32 len = d->out_len;

	if (!d->service)
		return -EBADF;
	if (!len)
		return -EAGAIN;
	if (room < len)
		return -EINVAL;
	if (copy_to_user(to, d->out, len))
		return -EFAULT;
	WRITE_ONCE(d->out_len, 0);
	schedule_work(&d->ask_work);
	return len;
}

static ssize_t read(struct file *file, char __user *to, size_t room, loff_t *offset)
{
	struct daemon *d = daemon_of(file);
	ssize_t rc;

	if (!(file->f_flags & O_NONBLOCK) && wait_event_interruptible(d->wait, has_news(d)))
		return -EINTR;
	mutex_lock(&d->lock);
	rc = give_message(d, to, room);
	mutex_unlock(&d->lock);
	return rc;
}

static __poll_t poll(struct file *file, poll_table *table)
{
	struct daemon *d = daemon_of(file);

	poll_wait(file, &d->wait, table);
	if (!READ_ONCE(d->service))
		return EPOLLERR | EPOLLHUP;
	return READ_ONCE(d->out_len) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open,
	.release = release,
	.read = read,
	.write = write,
	.poll = poll,
};

/* ---- life ---- */

static struct daemon *new_daemon(struct service *s)
{
	struct daemon *d = kzalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return NULL;
	d->kind = s->kind->daemon;
	d->misc.minor = MISC_DYNAMIC_MINOR;
	d->misc.name = d->kind->name;
	d->misc.fops = &operations;
	d->service = s;
	kref_init(&d->users);
	mutex_init(&d->lock);
	init_waitqueue_head(&d->wait);
	INIT_WORK(&d->ask_work, ask_work);
	INIT_DELAYED_WORK(&d->late_work, late_work);
	return d;
}

int daemon_start(struct service *s)
{
	struct daemon *d = new_daemon(s);
	int rc;

	if (!d)
		return -ENOMEM;
	s->data = d;
	rc = misc_register(&d->misc);
	if (rc)
		kref_put(&d->users, release_daemon);
	return rc;
}

/* The channel is closed. Whoever has the device open reads and writes errors from now on. */
void daemon_stop(struct service *s)
{
	struct daemon *d = s->data;

	misc_deregister(&d->misc);
	mutex_lock(&d->lock);
	daemon_left(d);
	WRITE_ONCE(d->service, NULL);
	d->busy = false;
	wake_up_interruptible(&d->wait);
	mutex_unlock(&d->lock);
	kref_put(&d->users, release_daemon);
}
