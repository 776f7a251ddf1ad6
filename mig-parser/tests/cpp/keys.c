#define LPAREN (
#define f(x) <x>
f LPAREN 1 )
#define e(x) x
e(f) (2)
e(f)(3)
e(f LPAREN 4))
#define CAT(a, ...) a ## __VA_ARGS__
#define IIF(c) CAT(IIF_, c)
#define IIF_0(t, ...) __VA_ARGS__
#define IIF_1(t, ...) t
IIF(1)(yes, no) IIF(0)(yes, no)
#define PROBE(x) x, 1,
#define CHECK_N(x, n, ...) n
#define CHECK(...) CHECK_N(__VA_ARGS__, 0,)
CHECK(PROBE(~)) CHECK(xxx)
#define EVAL(...)  EVAL1(EVAL1(EVAL1(__VA_ARGS__)))
#define EVAL1(...) __VA_ARGS__
#define EMPTY()
#define DEFER(id) id EMPTY()
#define OBSTRUCT(...) __VA_ARGS__ DEFER(EMPTY)()
#define A() 123
DEFER(A)() EVAL(DEFER(A)())
#define REPEAT_INDIRECT() REPEAT
#define REPEAT(x) x OBSTRUCT(REPEAT_INDIRECT)()(x)
EVAL(REPEAT(z))
#define self self + 1
self
#define mutual1(x) mutual2(x)
#define mutual2(x) mutual1(x)
mutual1(mutual2(1))
f(f(f(5)))
f (
#define inside 6
inside
)
