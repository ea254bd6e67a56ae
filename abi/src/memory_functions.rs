//! The functions of the C library that compiled code calls by name: copying, filling and comparing bytes.

/// Defines `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`, each with the C library's meaning and calling
/// convention. The kernel and the programs have no C library, so each of them defines these once.
///
/// The prefix comes before each name. It is empty in the kernel and in programs. A test that already has a C library
/// passes another prefix and so tests the same instructions.
///
/// The functions are in assembly because the compiler may turn a loop in Rust into a call of the function that the loop
/// implements.
#[macro_export]
macro_rules! memory_functions {
    ($prefix:literal) => {
        ::core::arch::global_asm!(
            ".pushsection .text.memory_functions, \"ax\"",
            // memcpy(to, from, count) -> to
            concat!(".globl ", $prefix, "memcpy"),
            concat!($prefix, "memcpy:"),
            "mov rax, rdi",
            "2:",
            "mov rcx, rdx",
            "shr rcx, 3",
            "rep movsq",
            "mov ecx, edx",
            "and ecx, 7",
            "rep movsb",
            "ret",
            // memmove(to, from, count) -> to: from the end down if `to` lies within [from, from + count)
            concat!(".globl ", $prefix, "memmove"),
            concat!($prefix, "memmove:"),
            "mov rax, rdi",
            "mov rcx, rdi",
            "sub rcx, rsi",
            "cmp rcx, rdx",
            "jae 2b",
            "lea rdi, [rdi + rdx - 1]",
            "lea rsi, [rsi + rdx - 1]",
            "mov rcx, rdx",
            "std",
            "rep movsb",
            "cld",
            "ret",
            // memset(to, byte, count) -> to
            concat!(".globl ", $prefix, "memset"),
            concat!($prefix, "memset:"),
            "mov r8, rdi",
            "movzx eax, sil",
            "movabs r9, 0x0101010101010101",
            "imul rax, r9",
            "mov rcx, rdx",
            "shr rcx, 3",
            "rep stosq",
            "mov ecx, edx",
            "and ecx, 7",
            "rep stosb",
            "mov rax, r8",
            "ret",
            // memcmp(a, b, count), bcmp(a, b, count): of the first two bytes that differ, that of `a` minus that of `b`,
            // both unsigned; 0 if none differ
            concat!(".globl ", $prefix, "memcmp"),
            concat!(".globl ", $prefix, "bcmp"),
            concat!($prefix, "memcmp:"),
            concat!($prefix, "bcmp:"),
            "xor eax, eax",
            "xor ecx, ecx",
            "2:",
            "cmp rcx, rdx",
            "je 3f",
            "movzx eax, byte ptr [rdi + rcx]",
            "movzx r8d, byte ptr [rsi + rcx]",
            "inc rcx",
            "sub eax, r8d",
            "je 2b",
            "3:",
            "ret",
            // strlen(text) -> number of bytes before the first zero
            concat!(".globl ", $prefix, "strlen"),
            concat!($prefix, "strlen:"),
            "xor eax, eax",
            "2:",
            "cmp byte ptr [rdi + rax], 0",
            "je 3f",
            "inc rax",
            "jmp 2b",
            "3:",
            "ret",
            ".popsection",
        );
    };
}
