package org.mmsearch.hybrid.search;

/** How the hybrids of a search of several shards are answered. With one shard they are answered inside it, whatever the way. */
public enum Way {
    /** There is no hybrid. */
    NONE,
    /** The shards' query phases collect the legs' windows, and the coordinating node fuses them between the phases. */
    ONE_SEARCH,
    /** A search of its own collects the legs' windows and keeps its reader contexts, in which the search itself is run then. */
    TWO_ROUNDS,
    /** As two rounds, but in a point in time that is opened before and deleted after. */
    POINT_IN_TIME
}
