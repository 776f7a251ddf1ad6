#include <once.h>
#include <once.h>
#include "first/once.h"
#import <twice.h>
#import <twice.h>
#include <twice.h>
#include <layered.h>
#include <guarded.h>
#include <guarded.h>
#define HEADER <twice.h>
#define QUOTED "first/twice.h"
#include HEADER
#if __has_include(<once.h>) && __has_include("first/once.h") && !__has_include(<nothing.h>) && !__has_include("nothing.h")
found
#endif
#if __has_include(HEADER)
found HEADER too
#endif
#ifdef __has_include
known
#endif
#if defined(__has_include_next) && defined __has_attribute
known
#endif
