/*
 * The init of a guest that runs test programs on several CPUs: the commands of /commands, one after the other and again
 * until the `seconds=N` of the kernel's command line have passed, but each at least once. A line each on the console,
 * `@ OUTCOME: COMMAND` behind the last lines that the command wrote, each as `| LINE`; then the machine powers off. A
 * command is a path below /programs, which is run in its folder, and words for it. Built with -static -O2.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
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
#include <time.h>
#include <unistd.h>

#define OUTPUT "/output"
#define LIMIT 300 /* seconds that a command may take */
#define TAIL 1500 /* bytes of its output that are shown */
#define WORDS 32
#define COMMANDS 500

static void nothing(int signal) { (void)signal; }

/* In the child: runs the command with its output in a file, and as an ordinary process that init is not. */
static void become(const char *command)
{
    char path[300], copy[300], *words[WORDS + 1], *rest = strdup(command);
    int count = 0, input = open("/dev/null", O_RDONLY);
    int output = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    struct rlimit none = {0, 0};

    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    setsid();
    setrlimit(RLIMIT_CORE, &none);
    while (count < WORDS && (words[count] = strsep(&rest, " ")))
        count++;
    words[count] = NULL;
    snprintf(path, sizeof path, "/programs/%s", words[0]);
    strcpy(copy, path);
    if (chdir(dirname(copy)) == 0)
        execv(path, words);
    perror(path);
    _exit(127);
}

/* Runs the command; its status as waitpid's, or -1 when it was still running after the time. */
static int run(const char *command)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        become(command);
    alarm(LIMIT);
    if (waitpid(child, &status, 0) != child)
        status = -1;
    alarm(0);
    kill(-child, SIGKILL);
    while (waitpid(-1, NULL, status == -1 ? 0 : WNOHANG) > 0)
        ;
    return status;
}

/* The end of what the command wrote. */
static void show(void)
{
    static char line[TAIL];
    FILE *output = fopen(OUTPUT, "r");

    if (!output)
        return;
    if (fseek(output, -TAIL, SEEK_END) == 0)
        fgets(line, sizeof line, output);
    else
        rewind(output);
    while (fgets(line, sizeof line, output))
        printf("| %s%s", line, strchr(line, '\n') ? "" : "\n");
    fclose(output);
}

static void test(const char *command)
{
    int status = run(command);

    show();
    if (status == -1)
        printf("@ runs longer than %d s: %s\n", LIMIT, command);
    else if (WIFSIGNALED(status))
        printf("@ signal %d: %s\n", WTERMSIG(status), command);
    else if (status)
        printf("@ exit %d: %s\n", WEXITSTATUS(status), command);
    else
        printf("@ passed: %s\n", command);
    fflush(stdout);
}

/* The number behind seconds= on the kernel's command line. */
static long seconds(void)
{
    char line[1024] = "", *found;
    FILE *file = fopen("/proc/cmdline", "r");

    if (file && fgets(line, sizeof line, file) && (found = strstr(line, "seconds=")))
        return atol(found + strlen("seconds="));
    return 0;
}

static void mount_all(void)
{
    static const char *const mounts[][2] = {{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}, {"/tmp", "tmpfs"}};

    for (unsigned i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        mkdir(mounts[i][0], 0755);
        mount(mounts[i][1], mounts[i][0], mounts[i][1], 0, NULL);
    }
    mkdir("/dev/shm", 01777);
    mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

int main(void)
{
    static char commands[COMMANDS][300];
    struct sigaction on_alarm = {.sa_handler = nothing};
    int count = 0, done = 0;
    time_t end;
    FILE *list;

    mount_all();
    freopen("/dev/console", "w", stdout);
    sigaction(SIGALRM, &on_alarm, NULL);
    list = fopen("/commands", "r");
    while (list && count < COMMANDS && fgets(commands[count], sizeof *commands, list)) {
        commands[count][strcspn(commands[count], "\n")] = 0;
        count++;
    }
    end = time(NULL) + seconds();
    while (count && (done < count || time(NULL) < end))
        test(commands[done++ % count]);
    printf("@ end\n");
    fflush(stdout);
    tcdrain(1);
    reboot(RB_POWER_OFF);
    return 1;
}
