#if 'a' == 97 && '\x41' == 65 && '\101' == 65 && '\0' == 0 && '\n' == 10 && 'ab' == 24930
characters
#endif
#if '\377' < 0
signed
#endif
#if -1 > 0u
unsigned wins
#endif
#if (2 || 1/0) && !(0 && 1/0) && (1 ? 2 : 1/0)
unevaluated
#endif
#if 0x7fffffffffffffff + 1 < 0 || 1
wraps
#endif
#if (-7) / 2 == -3 && (-7) % 2 == -1 && 7u / 2 == 3 && -7 >> 1 == -4
divides
#endif
#if (0, 5) == 5
comma
#endif
#if 1L + 1UL + 1ull + 1LLU == 4
suffixes
#endif
#if 0b101 == 5 && 017 == 15 && 0XfF == 255
radixes
#endif
#if defined X || defined(Y)
no
#elif !defined X
yes
#else
no
#endif
#define X
#ifdef Y
no
#elifdef X
elifdef
#elifndef X
no
#endif
#ifdef Y
#elifndef Y
elifndef
#else
no
#endif
#if 0
#bogus
it's unclosed "
#if whatever (((
#else
#endif
#elif 1
nested
#endif
#define TWO() 2
#if TWO() == 2 && UNKNOWN == 0 && true == 0
calls
#endif
#define DEFINED defined(X)
#if DEFINED
made
#endif
#if 1 ? 2, 3 : 4
#endif
#if 1 == 1L && ~0 == -1 && !0 == 1 && +1 == 1 && 3 - -3 == 6
unary
#endif
#if 1 << 3 == 8 && (1 | 2) == 3 && (3 & 6) == 2 && (3 ^ 6) == 5
bits
#endif
#if L'a' == 97 && u'b' == 98 && U'\x41' == 65 && L'\377' == 255
wide characters
#endif
#ifdef _Pragma
an operator is defined
#endif
#if defined defined
no
#endif
