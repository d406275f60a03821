/*
 * What runs inside the test guest: a beat every 10 ms on one virtio-serial port, and workloads that an
 * observer switches on and off over another. Each workload checks its own data for ever: a byte that a
 * move lost or mixed up becomes an error in `report`.
 *
 *   port homeward.beat     one line "B <number>" each 10 ms
 *   port homeward.control  commands "ID WHAT ...", one a line, each answered by one line of JSON with that id:
 *     cpu N | cpu off              N threads that never rest
 *     compress on | off            busybox gzip on generated data, unpacked again and compared
 *     memory MIB RATE | off        rewrites MIB for ever, RATE MiB/s or "flatout"
 *     hold MIB | off               fills MIB once and keeps verifying it
 *     grab MIB RATE | off          takes MIB once, RATE MiB/s or "flatout", verifies it once and keeps it
 *     cache MIB | off              writes MIB of the disk once, so that it lies in the page cache, clean
 *     swap MIB                     the last MIB of the disk become swap
 *     disk RATE | off              RATE numbered blocks a second beyond the boot file system
 *     echo ADDRESS PORT | off      numbered messages to a TCP echo server
 *     run NAME [ARGUMENT]          /workloads/NAME, one at a time (only the Debian guest has any)
 *     ran                          whether that still runs, and how the last one ended
 *     end off | reboot | crash     powers off, reboots, or panics (which reboots: panic=-1) a moment after the answer
 *     report                       all counters
 *     mem                          what the kernel says of its memory
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, BEAT_NS = 10 * 1000 * 1000, MAX_CPUS = 64, DISK_SLOTS = 16384 };
/* The boot file system ends here; the disk workload owns the rest (guest.ts: bootAreaBytes). */
static const uint64_t DATA_OFFSET = 64ull * 1024 * 1024;

typedef atomic_ullong counter;
static counter beats, disk_written, disk_verified, disk_errors, memory_written, memory_verified, memory_errors;
static counter grab_taken, grab_verified, grab_errors, cache_written, cache_errors;
static counter hold_verified, hold_errors, cpu_rounds, compress_rounds, compress_errors;
static counter echo_sent, echo_received, echo_errors, echo_connects, echo_worst_us;

/* A workload that can be switched: `wanted` is the switch, `thread` the one run of it. */
struct work {
  atomic_bool wanted;
  bool started;
  pthread_t thread;
  uint64_t size, rate;
  char address[64];
  atomic_int fd; /* what a stop must interrupt, or -1 */
};
static struct work memory_work, hold_work, grab_work, cache_work, disk_work, echo_work, compress_work, cpu_work[MAX_CPUS];
static int cpu_count;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns) {
  struct timespec t = {.tv_sec = (time_t)(ns / 1000000000ull), .tv_nsec = (long)(ns % 1000000000ull)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
  }
}

/* Keeps a loop to `rate` steps a second; 0 is flat out. After a stop it does not catch up. */
static void pace(uint64_t *next, uint64_t rate) {
  if (!rate) return;
  uint64_t now = now_ns();
  *next += 1000000000ull / rate;
  if (*next > now) sleep_until(*next);
  else if (now - *next > 1000000000ull) *next = now;
}

static uint64_t mix(uint64_t x) { /* splitmix64 */
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/* A page says which it is and which generation, then words that follow from both; none compresses. */
static void fill(uint64_t *page, uint64_t index, uint64_t generation) {
  uint64_t seed = mix(index * 0x100000001b3ull ^ mix(generation));
  page[0] = index;
  page[1] = generation;
  for (int i = 2; i < WORDS; i++) page[i] = seed = seed * 6364136223846793005ull + 1442695040888963407ull;
}

static bool holds(const uint64_t *page, uint64_t index, uint64_t generation) {
  uint64_t seed = mix(index * 0x100000001b3ull ^ mix(generation)), wrong = 0;
  wrong |= (page[0] ^ index) | (page[1] ^ generation);
  for (int i = 2; i < WORDS; i++) wrong |= page[i] ^ (seed = seed * 6364136223846793005ull + 1442695040888963407ull);
  return wrong == 0;
}

static int port(const char *wanted) {
  for (int tries = 0; tries < 500; tries++) {
    DIR *dir = opendir("/sys/class/virtio-ports");
    for (struct dirent *e; dir && (e = readdir(dir));) {
      char path[600], name[128] = "";
      snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", e->d_name);
      FILE *f = fopen(path, "r");
      if (!f) continue;
      if (fgets(name, sizeof name, f)) name[strcspn(name, "\n")] = 0;
      fclose(f);
      if (strcmp(name, wanted)) continue;
      snprintf(path, sizeof path, "/dev/%s", e->d_name);
      closedir(dir);
      return open(path, O_RDWR | O_NONBLOCK);
    }
    if (dir) closedir(dir);
    usleep(10000);
  }
  return -1;
}

static void *beat(void *unused) {
  struct sched_param urgent = {.sched_priority = 50};
  pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent);
  int fd = port("homeward.beat");
  for (uint64_t next = now_ns(), n = 1;; n++) {
    char line[32];
    int length = snprintf(line, sizeof line, "B %llu\n", (unsigned long long)n);
    /* Not connected or full: the beat is lost, the number goes on; the observer sees which. */
    if (write(fd, line, (size_t)length) < 0 && errno != EAGAIN && errno != EPIPE) usleep(1000);
    beats = n;
    next += BEAT_NS;
    uint64_t now = now_ns();
    if (next < now) next = now;
    sleep_until(next);
  }
  return unused;
}

static void *cpu(void *arg) {
  struct work *w = arg;
  uint64_t x = 1;
  while (w->wanted) {
    for (int i = 0; i < 2000000; i++) x = mix(x);
    cpu_rounds += x ? 1 : 2;
  }
  return NULL;
}

static void *memory(void *arg) {
  struct work *w = arg;
  uint64_t pages = w->size * 256, next = now_ns();
  uint64_t *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) {
    memory_errors++;
    return NULL;
  }
  for (uint64_t generation = 1; w->wanted; generation++) {
    for (uint64_t i = 0; i < pages && w->wanted; i++) {
      uint64_t *page = area + i * WORDS;
      if (generation > 1) {
        if (!holds(page, i, generation - 1)) memory_errors++;
        memory_verified++;
      }
      fill(page, i, generation);
      memory_written++;
      if (i % 16 == 0) pace(&next, w->rate * 16);
    }
  }
  munmap(area, pages * PAGE);
  return NULL;
}

static void *hold(void *arg) {
  struct work *w = arg;
  uint64_t pages = w->size * 256, next = now_ns();
  uint64_t *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) {
    hold_errors++;
    return NULL;
  }
  for (uint64_t i = 0; i < pages && w->wanted; i++) fill(area + i * WORDS, i, 7);
  while (w->wanted) {
    for (uint64_t i = 0; i < pages && w->wanted; i++) {
      if (!holds(area + i * WORDS, i, 7)) hold_errors++;
      hold_verified++;
      if (i % 16 == 0) pace(&next, w->rate * 16);
    }
  }
  munmap(area, pages * PAGE);
  return NULL;
}

static void *grab(void *arg) {
  struct work *w = arg;
  uint64_t pages = w->size * 256, next = now_ns();
  uint64_t *area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) {
    grab_errors++;
    return NULL;
  }
  for (uint64_t i = 0; i < pages && w->wanted; i++) {
    fill(area + i * WORDS, i, 11);
    grab_taken++;
    if (i % 16 == 0) pace(&next, w->rate * 16);
  }
  for (uint64_t i = 0; i < pages && w->wanted; i++) {
    if (!holds(area + i * WORDS, i, 11)) grab_errors++;
    grab_verified++;
  }
  while (w->wanted) usleep(50000);
  munmap(area, pages * PAGE);
  return NULL;
}

/* Behind the slots of the disk workload. Through the page cache, and written out: what is left is clean. */
static void *cache(void *arg) {
  struct work *w = arg;
  uint64_t *page = aligned_alloc(PAGE, PAGE);
  int fd = open("/dev/vda", O_RDWR | O_CLOEXEC);
  off_t from = (off_t)(DATA_OFFSET + DISK_SLOTS * PAGE);
  bool written = fd >= 0 && page;
  for (uint64_t i = 0; i < w->size * 256 && w->wanted && written; i++) {
    fill(page, i, 13);
    written = pwrite(fd, page, PAGE, from + (off_t)(i * PAGE)) == PAGE;
  }
  if (!written || fsync(fd)) cache_errors++;
  else cache_written += w->size * 256;
  while (w->wanted) usleep(50000);
  posix_fadvise(fd, from, (off_t)(w->size * 256 * PAGE), POSIX_FADV_DONTNEED);
  close(fd);
  free(page);
  return NULL;
}

static bool swap(uint64_t mebibytes) {
  uint64_t bytes = 0;
  char command[200];
  int fd = open("/dev/vda", O_RDONLY | O_CLOEXEC);
  bool known = fd >= 0 && ioctl(fd, BLKGETSIZE64, &bytes) == 0 && bytes > mebibytes << 20;
  if (fd >= 0) close(fd);
  snprintf(command, sizeof command, "losetup -o %llu /dev/loop0 /dev/vda && mkswap /dev/loop0 >/dev/null && swapon /dev/loop0",
           (unsigned long long)(bytes - (mebibytes << 20)));
  return known && system(command) == 0;
}

/* Block n lies in slot n % slots; what each slot should hold is remembered and read back at random. */
static void *disk(void *arg) {
  static uint64_t number = 1, *written;
  struct work *w = arg;
  uint64_t bytes = 0, next = now_ns();
  uint64_t *block = aligned_alloc(PAGE, PAGE);
  int fd = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
  if (fd < 0 || !block || ioctl(fd, BLKGETSIZE64, &bytes) || bytes < DATA_OFFSET + 64 * PAGE) {
    disk_errors++;
    return NULL;
  }
  uint64_t slots = (bytes - DATA_OFFSET) / PAGE;
  if (slots > DISK_SLOTS) slots = DISK_SLOTS;
  if (!written) written = calloc(slots, sizeof *written);
  for (; w->wanted; number++) {
    uint64_t slot = number % slots;
    fill(block, slot, number);
    /* An error the guest sees is an error: a move must hide link loss and switch-over from its disk. */
    if (pwrite(fd, block, PAGE, (off_t)(DATA_OFFSET + slot * PAGE)) != PAGE) {
      disk_errors++;
      usleep(100000);
      continue;
    }
    written[slot] = number;
    disk_written++;
    uint64_t other = mix(number) % slots;
    if (number < slots) other = 1 + mix(number) % number;
    if (written[other]) {
      if (pread(fd, block, PAGE, (off_t)(DATA_OFFSET + other * PAGE)) != PAGE || !holds(block, other, written[other]))
        disk_errors++;
      disk_verified++;
    }
    pace(&next, w->rate);
  }
  close(fd);
  free(block);
  return NULL;
}

static void *compress(void *arg) {
  struct work *w = arg;
  for (uint64_t round = 1; w->wanted; round++) {
    FILE *f = fopen("/tmp/plain", "w");
    uint64_t x = round;
    for (int i = 0; f && i < 20000; i++) fprintf(f, "%llu %s\n", (unsigned long long)(x = mix(x)) % 100000, "homeward");
    if (f) fclose(f);
    int status = system("busybox gzip -c /tmp/plain >/tmp/packed && busybox gzip -dc /tmp/packed | busybox cmp -s - /tmp/plain");
    if (status != 0) compress_errors++;
    compress_rounds++;
  }
  return NULL;
}

static bool echo_exchange(int fd, uint64_t n) {
  char sent[32], got[32];
  int length = snprintf(sent, sizeof sent, "%020llu\n", (unsigned long long)n), have = 0;
  uint64_t since = now_ns();
  if (write(fd, sent, (size_t)length) != length) return false;
  echo_sent++;
  while (have < length) {
    ssize_t more = read(fd, got + have, (size_t)(length - have));
    if (more <= 0) return false;
    have += (int)more;
  }
  if (memcmp(sent, got, (size_t)length)) echo_errors++;
  echo_received++;
  uint64_t took = (now_ns() - since) / 1000;
  if (took > echo_worst_us) echo_worst_us = took;
  return true;
}

/* One connection for as long as it lasts: a second connect means the first one did not survive. */
static void *echo(void *arg) {
  struct work *w = arg;
  for (uint64_t n = 1; w->wanted; usleep(200000)) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->size)};
    struct timeval patience = {.tv_sec = 120};
    inet_pton(AF_INET, w->address, &to.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    w->fd = fd;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
      echo_connects++;
      while (w->wanted && echo_exchange(fd, n)) {
        n++;
        usleep(20000);
      }
    }
    w->fd = -1;
    close(fd);
  }
  return NULL;
}

static void stop(struct work *w) {
  if (!w->started) return;
  w->wanted = false;
  if (w->fd >= 0) shutdown(w->fd, SHUT_RDWR);
  pthread_join(w->thread, NULL);
  w->started = false;
}

static void start(struct work *w, void *(*run)(void *), uint64_t size, uint64_t rate) {
  stop(w);
  w->size = size;
  w->rate = rate;
  w->fd = -1;
  w->wanted = true;
  w->started = pthread_create(&w->thread, NULL, run, w) == 0;
}

/* Without goodbye to the disk: it holds nothing that is not written through. */
static void *end(void *arg) {
  int *how = arg;
  usleep(100000);
  if (*how) reboot(*how);
  int fd = open("/proc/sysrq-trigger", O_WRONLY);
  if (write(fd, "c", 1) < 0) reboot(RB_AUTOBOOT);
  return NULL;
}

static void start_end(int wanted) {
  static int how;
  how = wanted;
  pthread_t ending;
  pthread_create(&ending, NULL, end, &how);
}

static void stop_cpus(void) {
  for (int i = 0; i < cpu_count; i++) cpu_work[i].wanted = false;
  for (int i = 0; i < cpu_count; i++) stop(&cpu_work[i]);
  cpu_count = 0;
}

static void start_cpus(int count) {
  stop_cpus();
  for (; cpu_count < count && cpu_count < MAX_CPUS; cpu_count++) start(&cpu_work[cpu_count], cpu, 0, 0);
}

static void say(int fd, const char *format, ...) {
  char text[2048];
  va_list list;
  va_start(list, format);
  int length = vsnprintf(text, sizeof text, format, list);
  va_end(list);
  for (int sent = 0; sent < length;) {
    ssize_t n = write(fd, text + sent, (size_t)(length - sent));
    if (n > 0) sent += (int)n;
    else if (errno == EAGAIN) usleep(5000);
    else return;
  }
}

static void report(int fd, unsigned long long id) {
  say(fd,
      "{\"id\":%llu,\"ok\":true,\"beats\":%llu,\"disk_blocks_written\":%llu,\"disk_blocks_verified\":%llu,\"disk_errors\":%llu,"
      "\"memory_pages_written\":%llu,\"memory_pages_verified\":%llu,\"memory_errors\":%llu,"
      "\"grab_pages_taken\":%llu,\"grab_pages_verified\":%llu,\"grab_errors\":%llu,"
      "\"cache_pages_written\":%llu,\"cache_errors\":%llu,"
      "\"hold_pages_verified\":%llu,\"hold_errors\":%llu,\"cpu_rounds\":%llu,\"compress_rounds\":%llu,"
      "\"compress_errors\":%llu,\"echo_connects\":%llu,\"echo_sent\":%llu,\"echo_received\":%llu,\"echo_errors\":%llu,"
      "\"echo_worst_us\":%llu}\n",
      id, beats, disk_written, disk_verified, disk_errors, memory_written, memory_verified, memory_errors, grab_taken,
      grab_verified, grab_errors, cache_written, cache_errors, hold_verified,
      hold_errors, cpu_rounds, compress_rounds, compress_errors, echo_connects, echo_sent, echo_received, echo_errors,
      echo_worst_us);
}

/* The number behind `key` in a file of lines; 0 where there is none. */
static unsigned long long number_in(const char *path, const char *key) {
  char line[200];
  unsigned long long number = 0;
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) {
    size_t length = strlen(key);
    if (!strncmp(line, key, length) && (line[length] == ':' || line[length] == ' '))
      number = strtoull(line + length + 1, NULL, 10);
  }
  if (f) fclose(f);
  return number;
}

static void mem(int fd, unsigned long long id) {
  const char *info = "/proc/meminfo", *events = "/proc/vmstat";
  say(fd,
      "{\"id\":%llu,\"ok\":true,\"total_kib\":%llu,\"free_kib\":%llu,\"cache_kib\":%llu,\"available_kib\":%llu,"
      "\"swap_total_kib\":%llu,"
      "\"swap_in_pages\":%llu,\"swap_out_pages\":%llu,\"oom_kills\":%llu}\n",
      id, number_in(info, "MemTotal"), number_in(info, "MemFree"),
      number_in(info, "Buffers") + number_in(info, "Cached") - number_in(info, "Shmem"), number_in(info, "MemAvailable"),
      number_in(info, "SwapTotal"), number_in(events, "pswpin"), number_in(events, "pswpout"),
      number_in(events, "oom_kill"));
}

/* A workload of the Debian guest; one at a time. */
static pid_t job;
static int job_exit = -1;

static bool run(const char *name, const char *argument) {
  char path[128];
  if (job > 0 || strchr(name, '/')) return false;
  snprintf(path, sizeof path, "/workloads/%s", name);
  if (access(path, X_OK)) return false;
  job = fork();
  if (job == 0) {
    setpgid(0, 0);
    execl(path, path, argument, NULL);
    _exit(127);
  }
  return job > 0;
}

static void ran(int fd, unsigned long long id) {
  int status;
  if (job > 0 && waitpid(job, &status, WNOHANG) == job) {
    job = 0;
    job_exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }
  say(fd, "{\"id\":%llu,\"ok\":true,\"running\":%s,\"exit\":%d}\n", id, job > 0 ? "true" : "false", job_exit);
}

static void obey(int fd, char *line) {
  char what[32] = "", first[64] = "", second[64] = "";
  unsigned long long id = 0;
  sscanf(line, "%llu %31s %63s %63s", &id, what, first, second);
  bool off = !strcmp(first, "off");
  uint64_t a = strtoull(first, NULL, 10), b = strtoull(second, NULL, 10);
  if (!strcmp(what, "report")) {
    report(fd, id);
    return;
  }
  if (!strcmp(what, "mem")) {
    mem(fd, id);
    return;
  }
  if (!strcmp(what, "ran")) {
    ran(fd, id);
    return;
  }
  if (!strcmp(what, "run") && first[0]) {
    if (!run(first, second)) {
      say(fd, "{\"id\":%llu,\"ok\":false,\"error\":\"cannot run it\"}\n", id);
      return;
    }
  } else if (!strcmp(what, "cpu") && (off || a)) off ? stop_cpus() : start_cpus((int)a);
  else if (!strcmp(what, "memory") && (off || a)) off ? stop(&memory_work) : start(&memory_work, memory, a, b);
  else if (!strcmp(what, "hold") && (off || a)) off ? stop(&hold_work) : start(&hold_work, hold, a, 64);
  else if (!strcmp(what, "grab") && (off || a)) off ? stop(&grab_work) : start(&grab_work, grab, a, b);
  else if (!strcmp(what, "cache") && (off || a)) off ? stop(&cache_work) : start(&cache_work, cache, a, 0);
  else if (!strcmp(what, "swap") && a) {
    if (!swap(a)) {
      say(fd, "{\"id\":%llu,\"ok\":false,\"error\":\"no swap\"}\n", id);
      return;
    }
  } else if (!strcmp(what, "disk") && (off || a)) off ? stop(&disk_work) : start(&disk_work, disk, 0, a);
  else if (!strcmp(what, "compress") && (off || !strcmp(first, "on")))
    off ? stop(&compress_work) : start(&compress_work, compress, 0, 0);
  else if (!strcmp(what, "end") && off) start_end(RB_POWER_OFF);
  else if (!strcmp(what, "end") && !strcmp(first, "reboot")) start_end(RB_AUTOBOOT);
  else if (!strcmp(what, "end") && !strcmp(first, "crash")) start_end(0);
  else if (!strcmp(what, "echo") && off) stop(&echo_work);
  else if (!strcmp(what, "echo") && b) {
    stop(&echo_work);
    snprintf(echo_work.address, sizeof echo_work.address, "%s", first);
    start(&echo_work, echo, b, 0);
  } else {
    say(fd, "{\"id\":%llu,\"ok\":false,\"error\":\"unknown command\"}\n", id);
    return;
  }
  say(fd, "{\"id\":%llu,\"ok\":true}\n", id);
}

int main(void) {
  pthread_t beating;
  pthread_create(&beating, NULL, beat, NULL);
  int fd = port("homeward.control");
  char text[4096];
  size_t have = 0;
  for (;;) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    poll(&wait, 1, 1000);
    ssize_t more = read(fd, text + have, sizeof text - 1 - have);
    if (more <= 0) {
      usleep(50000); /* 0: nobody is connected, and poll says so at once */
      continue;
    }
    have += (size_t)more;
    text[have] = 0;
    for (char *end; (end = memchr(text, '\n', have));) {
      *end = 0;
      obey(fd, text);
      size_t used = (size_t)(end - text) + 1;
      memmove(text, end + 1, have - used);
      have -= used;
    }
    if (have == sizeof text - 1) have = 0;
  }
}
