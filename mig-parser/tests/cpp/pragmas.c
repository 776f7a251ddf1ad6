#define NAME old
#pragma push_macro("NAME")
#undef NAME
#define NAME new
NAME
#pragma pop_macro("NAME")
NAME
_Pragma("push_macro(\"NAME\")") _Pragma("once") before
#undef NAME
NAME
_Pragma("pop_macro(\"NAME\")") NAME
#define DO(x) _Pragma(#x) after
DO(GCC diagnostic push) DO(pack(1))
#pragma GCC diagnostic ignored "-Wall"
#pragma unknown to all
#ident "version"
#sccs "version"
#assert machine(mach)
#assert machine(gnu)
#if #machine(mach) && #machine(gnu) && !#machine(other) && #machine
asserted
#endif
#unassert machine(mach)
#if #machine(mach)
wrong
#elif #machine(gnu)
left
#endif
#unassert machine
#if #machine
wrong
#endif
#
# /* a null directive */
#pragma GCC warning "careful"
#warning careful, too
end
