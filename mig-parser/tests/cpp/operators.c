/* What `##` makes is one token, with or without a use for it. */
#define PASTE(a, b) a ## b
#define THREE(a, b, c) a ## b ## c
#define FOUR(a, b, c, d) a ## b ## c ## d
#define STRING(x) STRING_(x)
#define STRING_(x) #x
PASTE(+, +) PASTE(-, -) PASTE(-, >) PASTE(+, =) PASTE(-, =) PASTE(*, =) PASTE(/, =) PASTE(%, =)
PASTE(&, =) PASTE(|, =) PASTE(^, =) PASTE(<<, =) PASTE(>>, =) PASTE(<, <=) PASTE(>, >=) PASTE(&, &) PASTE(|, |)
PASTE(<, <) PASTE(>, >) PASTE(<, =) PASTE(>, =) PASTE(=, =) PASTE(!, =) PASTE(<, :) PASTE(:, >) PASTE(<, %)
PASTE(%, >) PASTE(%, :) PASTE(%:, %:)
THREE(<, <, =) THREE(>, >, =) THREE(<, , <) THREE(+, , ) THREE(., 5, e) FOUR(., 5, e, +) FOUR(0, x, f, p)
THREE(a, 1, _) THREE(1, ., 5) PASTE(L, 'a') PASTE(L, "text") PASTE(1e, +) PASTE(-, -) - PASTE(+, +)+
STRING(PASTE(+, +)) STRING(PASTE(<<, =)) STRING(a PASTE(-, >) b)
/* Neighbours that were not pasted stay what they are. */
#define PLUS +
+PLUS PLUS+ -PLUS- PLUS= <PLUS
a+++b a---b a->b a<<=b a>>=b a<=b a-=b x%=y <:z:> <%w%> a%:b %:%: 5--3 *:5 :: ^= |= &= /=1 *=2
#define OBJECT + ## +
#define OBJECTS < ## < ## =
OBJECT OBJECTS STRING(OBJECT) STRING(OBJECTS)
