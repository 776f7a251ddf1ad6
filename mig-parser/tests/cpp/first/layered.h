layered in first
#include_next <layered.h>
#if __has_include_next(<layered.h>)
there is a next one
#endif
