/*
 * The init of a guest that runs programs: each of /programs/list, with /programs/NAME.expected held against its standard
 * output where that file is there, and its status held to be 0 where it is not. One line a program on the console, then
 * the machine powers off. Built with -static -O2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define OUTPUT "/output"
#define SECONDS 120 /* that a program may take */

static void nothing(int signal) { (void)signal; }

/* In the child: runs the program with its output in a file, and as an ordinary process that init is not. */
static void become(const char *path)
{
    int input = open("/dev/null", O_RDWR);
    int output = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    struct rlimit none = {0, 0};

    dup2(input, 0);
    dup2(output, 1);
    dup2(input, 2);
    setsid();
    setrlimit(RLIMIT_CORE, &none);
    if (chdir("/tmp") == 0)
        execl(path, path, (char *)NULL);
    _exit(127);
}

/* Runs the program; its status as waitpid's, or -1 when it was still running after the time. */
static int run(const char *path)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        become(path);
    alarm(SECONDS);
    if (waitpid(child, &status, 0) == child) {
        alarm(0);
        kill(-child, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        return status;
    }
    kill(-child, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    return -1;
}

/* Says where the output departs from what is expected, if it does. */
static void compare(const char *name, const char *expected)
{
    char want[512], got[512], *w, *g;
    FILE *expectation = fopen(expected, "r"), *output = fopen(OUTPUT, "r");
    int line = 0;

    if (!expectation || !output) {
        printf("@ %s cannot compare: %s\n", name, strerror(errno));
        exit(1);
    }
    do {
        w = fgets(want, sizeof want, expectation);
        g = fgets(got, sizeof got, output);
        line++;
    } while (w && g && strcmp(want, got) == 0);
    if (!w && !g) {
        printf("@ %s passed\n", name);
    } else {
        want[strcspn(want, "\n")] = 0;
        got[strcspn(got, "\n")] = 0;
        printf("@ %s differs in line %d: %s, expected %s\n", name, line, g ? got : "end", w ? want : "end");
    }
    fclose(expectation);
    fclose(output);
}

static void test(const char *name)
{
    char path[256], expected[300];
    int status;

    snprintf(path, sizeof path, "/programs/%s", name);
    snprintf(expected, sizeof expected, "%s.expected", path);
    status = run(path);
    if (status == -1)
        printf("@ %s runs longer than %d s\n", name, SECONDS);
    else if (WIFSIGNALED(status))
        printf("@ %s signal %d\n", name, WTERMSIG(status));
    else if (access(expected, F_OK) == 0)
        compare(name, expected);
    else if (status)
        printf("@ %s exit %d\n", name, WEXITSTATUS(status));
    else
        printf("@ %s passed\n", name);
    fflush(stdout);
}

int main(void)
{
    char name[200];
    struct sigaction on_alarm = {.sa_handler = nothing};
    FILE *list;

    mkdir("/proc", 0755);
    mkdir("/tmp", 01777);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    freopen("/dev/console", "w", stdout);
    sigaction(SIGALRM, &on_alarm, NULL);
    list = fopen("/programs/list", "r");
    while (list && fgets(name, sizeof name, list)) {
        name[strcspn(name, "\n")] = 0;
        test(name);
    }
    printf("@ end\n");
    fflush(stdout);
    tcdrain(1);
    reboot(RB_POWER_OFF);
    return 1;
}
