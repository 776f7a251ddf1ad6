#define A(fmt, ...) f(fmt, ##__VA_ARGS__)
A(1) A(1, 2) A(1,) A(1, 2, 3) A(1, (2, 3))
#define B(args...) f(x, ##args)
B() B(1) B(1, 2) B(,)
#define C(first, rest...) g(first, rest)
C(1, 2, 3) C(1) C(1,)
#define D(x, ...) f(x __VA_OPT__(,) __VA_ARGS__)
D(1) D(1, 2) D(1,) D(, 2)
#define E(...) __VA_OPT__(a ## b) __VA_OPT__() end
E() E(1) E(EMPTY)
#define EMPTY
E(EMPTY) D(1, EMPTY)
#define F(x, ...) x ## __VA_OPT__(y z) ## w
F(a) F(a, 1) F(, 1)
#define G(x, ...) #__VA_OPT__(x  __VA_ARGS__)
G(a) G(a, b  c) G("s", '\n')
#define H(...) #__VA_ARGS__
H() H(a, b) H( a ,  "b\n" , '"' )
#define I(x, ...) [x, ##__VA_ARGS__] [__VA_ARGS__ ## x]
#define X expanded
I(X) I(X, X) I(1, X, 2)
#define J(...) J2(__VA_ARGS__, 3, 2, 1)
#define J2(a, b, c, n, ...) n
J(a) J(a, b) J(a, b, c)
#define K(a, ...) a __VA_OPT__(K2)(__VA_ARGS__)
#define K2(b, ...) <b>
K(1) K(1, 2) K(1, 2, 3)
