package org.mmsearch;

import java.util.concurrent.TimeUnit;

/**
 * Controls the duration of a fuzz test: a fixed number of rounds by default, or a time with {@code -Dtests.fuzz.seconds=60}, which
 * {@code make fuzz} sets. All inputs depend only on the random seed of the test, which a failure prints.
 */
public final class Fuzzing {

    private static final int SECONDS = Integer.getInteger("tests.fuzz.seconds", 0);

    private final long begin = System.nanoTime();
    private final int rounds;
    private int done;
    private int taken;

    /** @param rounds the number of rounds if no time is set */
    public Fuzzing(int rounds) {
        this.rounds = rounds;
    }

    /** Returns whether to run another round. */
    public boolean goesOn() {
        boolean more = SECONDS == 0 ? done < rounds : System.nanoTime() - begin < TimeUnit.SECONDS.toNanos(SECONDS);
        if (more) {
            done++;
        }
        return more;
    }

    /** Counts a valid input. */
    public void taken() {
        taken++;
    }

    /** Returns a summary line, which {@code qa fuzz} parses. */
    public String counts() {
        return "fuzz: " + done + " inputs, " + taken + " taken";
    }
}
