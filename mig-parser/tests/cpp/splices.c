#def\
ine SPL\
ICED a b \
 c
SPLICED
#define /* a comment */ WITH/**/ value /* that spans
lines */ more
WITH
// a comment \
that goes on
a/**/b
"a string \
goes on" 'x'
#define f(a) #a
f(a /* gone */ b) f( "//" ) f('/*')
#if 1 /* that
spans */
taken
#endif /* extra */
#define str(x) #x
str(#) str(##) str(a#b)
#define EMPTY
