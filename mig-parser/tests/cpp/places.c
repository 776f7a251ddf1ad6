__LINE__ __FILE__
__COUNTER__ __COUNTER__
#define LINE __LINE__
#define COUNT __COUNTER__
LINE
COUNT COUNT
#define PASTE(a, b) PASTE_(a, b)
#define PASTE_(a, b) a ## b
PASTE(name_, __COUNTER__) PASTE(line_, __LINE__)
#line 100 "other.defs"
__LINE__ __FILE__
#define STR(x) STR_(x)
#define STR_(x) #x
STR(__LINE__) STR(__FILE__)
# 7 "marker.defs"
__LINE__ __FILE__
#line __LINE__
__LINE__
#if __LINE__ == 19 || __LINE__ == 10 || 1
here
#endif
#if __COUNTER__ == 5
five
#endif
__COUNTER__
__INCLUDE_LEVEL__
