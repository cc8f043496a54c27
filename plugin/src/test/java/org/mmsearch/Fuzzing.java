package org.mmsearch;

import java.util.concurrent.TimeUnit;

/**
 * How long a fuzzer of the plugin goes on: so many rounds in the tests, and with {@code -Dtests.fuzz.seconds=60} for a time, as
 * {@code make fuzz} runs them. What is drawn comes from the test's seed alone, which a failure prints.
 */
public final class Fuzzing {

    private static final int SECONDS = Integer.getInteger("tests.fuzz.seconds", 0);

    private final long begin = System.nanoTime();
    private final int rounds;
    private int done;
    private int taken;

    /** @param rounds how many without a time */
    public Fuzzing(int rounds) {
        this.rounds = rounds;
    }

    /** @return whether there is another round */
    public boolean goesOn() {
        boolean more = SECONDS == 0 ? done < rounds : System.nanoTime() - begin < TimeUnit.SECONDS.toNanos(SECONDS);
        if (more) {
            done++;
        }
        return more;
    }

    /** An input that was good. */
    public void taken() {
        taken++;
    }

    /** @return a line that {@code qa fuzz} reads */
    public String counts() {
        return "fuzz: " + done + " inputs, " + taken + " taken";
    }
}
