/* A user program to be debugged: it adds and says so, for ever. */
#include <stdio.h>
#include <unistd.h>

volatile unsigned total;
volatile double half = 0.5;
volatile unsigned scratch[16];

unsigned triple(unsigned n)
{
    unsigned twice = n * 2;
    unsigned result = twice + n;
    return result;
}

unsigned add(unsigned n)
{
    unsigned more = triple(n);
    total += more;
    scratch[n % 16] = more;
    return total;
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("PROGRAM\n");
    for (unsigned n = 1;; n++) {
        unsigned sum = add(n);
        if (n % 64 == 0)
            printf("ROUND %u SUM %u\n", n, sum);
        if (n % 16 == 0)
            usleep(1000);
    }
}
