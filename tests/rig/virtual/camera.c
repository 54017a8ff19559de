/* LD_PRELOAD: real libcamera's "virtual" camera and real picamera2 on a kernel without dma-buf
 * devices, at a real frame rate, showing a scene that somebody else draws.
 *
 *   /dev/udmabuf, /dev/dma_heap/...   memory becomes memfds, as large and as mappable
 *   libyuv's NV12Copy and ARGBToNV12  (the virtual camera calls one of them for each picture)
 *                                     wait for the next slot of RIG_FPS, then copy a picture of
 *                                     RIG_SCENE: a file of raw NV12 pictures, shown round and
 *                                     round; which one is a matter of CLOCK_MONOTONIC alone
 *   RIG_FAULT                         a file: "stall" delivers nothing, "error" bad pictures,
 *                                     "black", "covered", "frozen" what they say
 *
 * With RIG_REAL_BUFFERS set (a kernel that has the devices) only the scene is ours.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int raw_open(const char *path, int flags) {
    return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC);
}

/* --- memory ------------------------------------------------------------------------------- */

static int stands_in(const char *path) {
    return path && !getenv("RIG_REAL_BUFFERS") &&
           (!strcmp(path, "/dev/udmabuf") || !strncmp(path, "/dev/dma_heap/", 14));
}

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    if (stands_in(path)) return raw_open("/dev/null", O_RDWR);
    return syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE_OF(flags)                              \
    mode_t mode = 0;                                \
    if ((flags) & (O_CREAT | O_TMPFILE)) {          \
        va_list rest;                               \
        va_start(rest, flags);                      \
        mode = va_arg(rest, mode_t);                \
        va_end(rest);                               \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags) return open_any(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE_OF(flags) return open_any(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(flags) return open_any(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(flags) return open_any(folder, path, flags | O_LARGEFILE, mode);
}

static int allocate(struct dma_heap_allocation_data *wanted) {
    int memory = memfd_create("rig", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, wanted->len) < 0) return -1;
    wanted->fd = memory;
    return 0;
}

int ioctl(int file, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    request &= 0xffffffffUL;
    if (!getenv("RIG_REAL_BUFFERS")) {
        if (request == UDMABUF_CREATE)
            return fcntl(((struct udmabuf_create *)argument)->memfd, F_DUPFD_CLOEXEC, 0);
        if (request == DMA_HEAP_IOCTL_ALLOC) return allocate(argument);
    }
    int result = syscall(SYS_ioctl, file, request, argument);
    int no_dma_buf = result < 0 && (errno == ENOTTY || errno == EINVAL);
    return no_dma_buf && _IOC_TYPE(request) == DMA_BUF_BASE ? 0 : result;
}

/* --- pictures ----------------------------------------------------------------------------- */

static int fault(const char *word) {
    char said[16] = {0};
    const char *path = getenv("RIG_FAULT");
    int file = path ? raw_open(path, O_RDONLY) : -1;
    if (file < 0) return 0;
    ssize_t length = read(file, said, sizeof said - 1);
    close(file);
    return length > 0 && !strncmp(said, word, strlen(word));
}

/* Sleeps until the next slot, a multiple of the period, and returns its number. Slots that were
 * missed are lost, as on a sensor. */
static int64_t pace(void) {
    static int64_t slot;
    const char *asked = getenv("RIG_FPS");
    int64_t period_ns = (int64_t)(1e9 / (asked ? atof(asked) : 30));
    struct timespec time;
    while (fault("stall")) usleep(20000);
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = (time.tv_sec * 1000000000LL + time.tv_nsec) / period_ns;
    slot = slot && slot >= now ? slot + 1 : now + 1;
    time.tv_sec = slot * period_ns / 1000000000;
    time.tv_nsec = slot * period_ns % 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
    return slot;
}

/* The scene's picture of a slot; 0 where there is no scene of this size. */
static int show(int64_t slot, uint8_t *luma, uint8_t *chroma, int width, int height) {
    static const uint8_t *scene;
    static int64_t pictures, frozen;
    size_t pixels = (size_t)width * height, length = pixels * 3 / 2;
    if (!scene) {
        struct stat about;
        const char *path = getenv("RIG_SCENE");
        int file = path ? raw_open(path, O_RDONLY) : -1;
        if (file < 0) return 0;
        if (!fstat(file, &about) && about.st_size && about.st_size % length == 0) {
            void *mapped = mmap(NULL, about.st_size, PROT_READ, MAP_SHARED, file, 0);
            if (mapped != MAP_FAILED) scene = mapped, pictures = about.st_size / length;
        }
        close(file);
        if (!scene) return 0;
    }
    if (fault("black") || fault("covered")) {
        memset(luma, fault("black") ? 16 : 90, pixels);
        luma[slot % pixels] += 8; /* a sensor's noise */
        memset(chroma, 128, pixels / 2);
        return 1;
    }
    frozen = fault("frozen") ? (frozen ? frozen : slot) : 0;
    const uint8_t *picture = scene + (frozen ? frozen : slot) % pictures * length;
    memcpy(luma, picture, pixels);
    memcpy(chroma, picture + pixels, pixels / 2);
    return 1;
}

/* libcamera came in by Python, with its names to itself: RTLD_NEXT does not find them. */
#define REAL(name) ((__typeof__(&name))dlsym(dlopen("libyuv.so.0", RTLD_NOW), #name))

int NV12Copy(const uint8_t *from_luma, int from_luma_stride, const uint8_t *from_chroma,
             int from_chroma_stride, uint8_t *luma, int luma_stride, uint8_t *chroma,
             int chroma_stride, int width, int height) {
    int64_t slot = pace();
    if (fault("error")) return -1;
    if (show(slot, luma, chroma, width, height)) return 0;
    return REAL(NV12Copy)(from_luma, from_luma_stride, from_chroma, from_chroma_stride, luma,
                          luma_stride, chroma, chroma_stride, width, height);
}

int ARGBToNV12(const uint8_t *from, int from_stride, uint8_t *luma, int luma_stride,
               uint8_t *chroma, int chroma_stride, int width, int height) {
    int64_t slot = pace();
    if (fault("error")) return -1;
    if (show(slot, luma, chroma, width, height)) return 0;
    return REAL(ARGBToNV12)(from, from_stride, luma, luma_stride, chroma, chroma_stride, width,
                            height);
}
