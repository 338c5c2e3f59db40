/* A program for CGI on WASI preview 1: does what its arguments say, one after the other.
 *
 *   head        a head of text/plain
 *   args        its arguments, one a line in brackets
 *   env         its environment, one variable a line
 *   copy        standard input to standard output
 *   count       the number of bytes on standard input
 *   twice       two reads of standard input behind its end, for what they give
 *   say=TEXT    TEXT and a line end on standard error
 *   line=TEXT   TEXT and a line end on standard output
 *   fill=N      N bytes of output
 *   headers     headers without end
 *   body        output without end, whatever becomes of it
 *   spin        computes without end
 *   exit=N      ends with that exit code
 *   trap        ends with a trap
 *
 * Other arguments, such as its own name, are left alone. Standard output is flushed after each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static char buffer[64 * 1024];

static const char *after(const char *argument, const char *name) {
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

static void copy(void) {
    ssize_t got;
    while ((got = read(0, buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, (size_t)got, stdout);
    if (got < 0)
        fputs("the body broke off\n", stderr);
}

static void count(void) {
    unsigned long long total = 0;
    ssize_t got;
    while ((got = read(0, buffer, sizeof buffer)) > 0)
        total += (unsigned long long)got;
    printf("%llu bytes%s\n", total, got < 0 ? ", and it broke off" : "");
}

static void fill(long long left) {
    memset(buffer, 'x', sizeof buffer);
    while (left > 0) {
        size_t part = left < (long long)sizeof buffer ? (size_t)left : sizeof buffer;
        if (fwrite(buffer, 1, part, stdout) != part)
            return;
        left -= (long long)part;
    }
}

static void without_end(const char *line) {
    /* Unlike a program that looks at what became of its output. */
    for (;;)
        if (write(1, line, strlen(line)) < 0)
            continue;
}

int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i], *value;
        if (!strcmp(argument, "head"))
            fputs("Content-Type: text/plain\n\n", stdout);
        else if (!strcmp(argument, "args"))
            for (int j = 0; j < argc; j++)
                printf("[%s]\n", argv[j]);
        else if (!strcmp(argument, "env"))
            for (char **variable = environ; *variable; variable++)
                puts(*variable);
        else if (!strcmp(argument, "copy"))
            copy();
        else if (!strcmp(argument, "count"))
            count();
        else if (!strcmp(argument, "twice"))
            for (int j = 0; j < 2; j++)
                printf("%d\n", (int)read(0, buffer, 1));
        else if ((value = after(argument, "say=")))
            fprintf(stderr, "%s\n", value);
        else if ((value = after(argument, "line=")))
            puts(value);
        else if ((value = after(argument, "fill=")))
            fill(atoll(value));
        else if (!strcmp(argument, "headers"))
            without_end("X-More: and more\n");
        else if (!strcmp(argument, "body"))
            fflush(stdout), without_end("and so on and so on and so on and so on and so on\n");
        else if (!strcmp(argument, "spin"))
            for (volatile int on = 1; on;)
                ;
        else if ((value = after(argument, "exit=")))
            exit(atoi(value));
        else if (!strcmp(argument, "trap"))
            fflush(stdout), __builtin_trap();
        fflush(stdout);
    }
    return 0;
}
