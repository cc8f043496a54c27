package org.mmsearch.hybrid.search;

/** How the hybrids of a search are executed if it goes to several shards. With one shard, that shard fuses them. */
public enum Way {
    /** The search has no hybrid. */
    NONE,
    /** The query phase collects the windows of the legs, and the coordinating node fuses them before the fetch phase. */
    ONE_SEARCH,
    /** A separate search (the round) collects the windows of the legs. The search itself then uses the same reader contexts. */
    TWO_ROUNDS,
    /** As {@link #TWO_ROUNDS}, but in a point in time that is opened before and deleted after the search. */
    POINT_IN_TIME
}
