#ifndef GUARDED
#define GUARDED
guarded __FILE__ __LINE__
#endif
