/* Preloaded into logind: answers the ioctls of an input device that is a pipe, as a lid switch would. The file
   LID_STATE holds 1 while the lid is closed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...) {
  va_list args;
  va_start(args, request);
  void *argument = va_arg(args, void *);
  va_end(args);
  static int (*real)(int, unsigned long, ...);
  if (!real) real = dlsym(RTLD_NEXT, "ioctl");
  if (_IOC_TYPE(request) != 'E' || _IOC_DIR(request) != _IOC_READ) return real(fd, request, argument);
  unsigned number = _IOC_NR(request), size = _IOC_SIZE(request);
  unsigned char *bytes = argument;
  memset(bytes, 0, size);
  if (number == _IOC_NR(EVIOCGNAME(0))) {
    strncpy((char *)bytes, "Lid Switch", size);
    return 11;
  }
  if (number == _IOC_NR(EVIOCGBIT(0, 0))) bytes[0] = 1 | (1 << EV_SW);
  if (number == _IOC_NR(EVIOCGBIT(EV_SW, 0))) bytes[0] = 1 << SW_LID;
  if (number == _IOC_NR(EVIOCGSW(0))) {
    char state = '0';
    int file = open(getenv("LID_STATE"), O_RDONLY);
    if (file >= 0) {
      if (read(file, &state, 1) != 1) state = '0';
      close(file);
    }
    bytes[0] = state == '1';
  }
  return size;
}
