/* An ALSA plugin: a sound card made of files, in real time or `speed` times as fast.
 *
 *   pcm.x { type rig infile "mic.raw" outfile "speaker.raw" fault "fault" speed 1.0 }
 *
 * 48 kHz, 16 bit, one channel. The microphone reads `infile` round and round: which sample is heard
 * is a matter of CLOCK_MONOTONIC alone, so that whoever wrote the file knows when it was. The fault
 * file may say "unplug" or "silence".
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <math.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

typedef struct {
    snd_pcm_ioplug_t io;
    int file, timer, running;
    double speed, start_s;
    int64_t first;            /* the sample of the file that is heard at the start */
    snd_pcm_uframes_t done;   /* samples since the start */
    snd_pcm_uframes_t moved;  /* samples handed over since the start */
    char *fault;
} card_t;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static int fault(card_t *card, const char *word) {
    char said[16] = {0};
    int file = card->fault ? open(card->fault, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t length = read(file, said, sizeof said - 1);
    close(file);
    return length > 0 && !strncmp(said, word, strlen(word));
}

static int gone(card_t *card) {
    if (!fault(card, "unplug")) return 0;
    card->io.state = SND_PCM_STATE_DISCONNECTED;
    return 1;
}

static void wake_every(card_t *card, double seconds) {
    struct timespec step = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    struct itimerspec every = {step, step};
    timerfd_settime(card->timer, 0, &every, NULL);
}

static int start(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    card->start_s = now_s();
    card->first = (int64_t)(card->start_s * io->rate * card->speed);
    card->done = card->moved = 0;
    card->running = 1;
    wake_every(card, fmax(io->period_size / (double)io->rate / card->speed, 0.001));
    return 0;
}

static int stop(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    wake_every(card, 0);
    card->running = 0;
    return 0;
}

static int prepare(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    card->done = card->moved = 0;
    card->running = 0;
    return 0;
}

static snd_pcm_sframes_t pointer(snd_pcm_ioplug_t *io) {
    card_t *card = io->private_data;
    if (gone(card)) return -ENODEV;
    if (!card->running) return card->done % io->buffer_size;
    double passed_s = now_s() - card->start_s;
    snd_pcm_uframes_t step = (snd_pcm_uframes_t)(passed_s * io->rate * card->speed) - card->done;
    if (io->stream == SND_PCM_STREAM_CAPTURE) {
        if (step && io->hw_ptr - io->appl_ptr + step >= io->buffer_size) return -EPIPE;
    } else {
        snd_pcm_uframes_t queued = io->appl_ptr - io->hw_ptr;
        if (step > queued) {
            if (io->state != SND_PCM_STATE_DRAINING) return -EPIPE;
            step = queued;
        }
    }
    card->done += step;
    return card->done % io->buffer_size;
}

static void hear(card_t *card, char *to, size_t wanted) {
    struct stat about;
    off_t length = fstat(card->file, &about) ? 0 : about.st_size / 2 * 2;
    memset(to, 0, wanted);
    if (!length || fault(card, "silence")) return;
    off_t at = (off_t)((card->first + (int64_t)card->moved) * 2 % length);
    for (size_t got = 0; got < wanted;) {
        ssize_t count = pread(card->file, to + got, wanted - got, at);
        if (count <= 0) return;
        got += count;
        at = (at + count) % length;
    }
}

static snd_pcm_sframes_t transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                  snd_pcm_uframes_t offset, snd_pcm_uframes_t frames) {
    card_t *card = io->private_data;
    char *data = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
    if (gone(card)) return -ENODEV;
    if (io->stream == SND_PCM_STREAM_CAPTURE) {
        hear(card, data, frames * 2);
        card->moved += frames;
    } else if (write(card->file, data, frames * 2) < 0) {
        return -errno;
    }
    return frames;
}

static int poll_revents(snd_pcm_ioplug_t *io, struct pollfd *polled, unsigned count,
                        unsigned short *events) {
    card_t *card = io->private_data;
    unsigned long long turns;
    (void)count;
    if (polled[0].revents & POLLIN && read(card->timer, &turns, sizeof turns) < 0) turns = 0;
    snd_pcm_sframes_t ready = snd_pcm_avail_update(io->pcm);
    *events = 0;
    if (ready < 0)
        *events = POLLERR;
    else if ((snd_pcm_uframes_t)ready >= io->period_size || io->state != SND_PCM_STATE_RUNNING)
        *events = io->stream == SND_PCM_STREAM_PLAYBACK ? POLLOUT : POLLIN;
    return 0;
}

static int release(card_t *card) {
    if (card->file >= 0) close(card->file);
    if (card->timer >= 0) close(card->timer);
    free(card->fault);
    free(card);
    return 0;
}

static int card_close(snd_pcm_ioplug_t *io) { return release(io->private_data); }

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = start,
    .stop = stop,
    .pointer = pointer,
    .transfer = transfer,
    .close = card_close,
    .prepare = prepare,
    .poll_revents = poll_revents,
};

/* A second of buffer for the microphone: a busy machine must not look like a broken one. */
static void constrain(card_t *card, snd_pcm_stream_t stream) {
    static const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED};
    static const unsigned format[] = {SND_PCM_FORMAT_S16_LE};
    unsigned least = stream == SND_PCM_STREAM_CAPTURE ? 96000 : 3840;
    unsigned most = stream == SND_PCM_STREAM_CAPTURE ? 384000 : 15360;
    snd_pcm_ioplug_set_param_list(&card->io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
    snd_pcm_ioplug_set_param_list(&card->io, SND_PCM_IOPLUG_HW_FORMAT, 1, format);
    snd_pcm_ioplug_set_param_minmax(&card->io, SND_PCM_IOPLUG_HW_CHANNELS, 1, 1);
    snd_pcm_ioplug_set_param_minmax(&card->io, SND_PCM_IOPLUG_HW_RATE, 48000, 48000);
    snd_pcm_ioplug_set_param_minmax(&card->io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024);
    snd_pcm_ioplug_set_param_minmax(&card->io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 960, 4096);
    snd_pcm_ioplug_set_param_minmax(&card->io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, least, most);
}

SND_PCM_PLUGIN_DEFINE_FUNC(rig) {
    const char *infile = NULL, *outfile = NULL, *fault_file = NULL;
    double speed = 1.0;
    snd_config_iterator_t at, next;
    (void)root;
    snd_config_for_each(at, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(at);
        const char *name;
        if (snd_config_get_id(entry, &name) < 0) continue;
        if (!strcmp(name, "infile")) snd_config_get_string(entry, &infile);
        else if (!strcmp(name, "outfile")) snd_config_get_string(entry, &outfile);
        else if (!strcmp(name, "fault")) snd_config_get_string(entry, &fault_file);
        else if (!strcmp(name, "speed")) snd_config_get_ireal(entry, &speed);
    }
    const char *path = stream == SND_PCM_STREAM_CAPTURE ? infile : outfile;
    if (!path) return -ENOENT;
    card_t *card = calloc(1, sizeof *card);
    card->file = card->timer = -1;
    card->speed = speed;
    card->fault = fault_file ? strdup(fault_file) : NULL;
    if (fault(card, "unplug")) {
        release(card);
        return -ENODEV;
    }
    int flags = stream == SND_PCM_STREAM_CAPTURE ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND;
    card->file = open(path, flags | O_CLOEXEC, 0644);
    card->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    card->io.version = SND_PCM_IOPLUG_VERSION;
    card->io.name = "rig: a sound card of files";
    card->io.callback = &callbacks;
    card->io.private_data = card;
    card->io.poll_fd = card->timer;
    card->io.poll_events = POLLIN;
    int error = card->file < 0 ? -errno : snd_pcm_ioplug_create(&card->io, name, stream, mode);
    if (error < 0) {
        release(card);
        return error;
    }
    constrain(card, stream);
    *pcmp = card->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(rig);
