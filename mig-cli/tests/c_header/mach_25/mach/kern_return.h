#include <mach/message.h>
