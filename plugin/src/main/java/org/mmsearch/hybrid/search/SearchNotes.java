package org.mmsearch.hybrid.search;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.Deadline;
import org.mmsearch.RunningSearch;
import org.mmsearch.fusion.Fusion;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.lease.Releasable;
import org.opensearch.common.lease.Releasables;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.search.profile.ProfileShardResult;

/** What is known of one search while it runs: how its hybrids are answered, and what they leave for its answer. */
public final class SearchNotes implements RunningSearch {

    private final TaskId task;
    private final String pipeline;
    private final Deadline deadline;
    private final ReaderContexts readers = new ReaderContexts();
    private final RoundShards shards = new RoundShards();
    private final List<DegradedLeg> degraded = new ArrayList<>();
    private final Map<String, ProfileShardResult> profiles = new LinkedHashMap<>();
    private volatile Way way = Way.NONE;
    private volatile long legsBegan;
    private final List<Releasable> held = new ArrayList<>();
    private boolean ended;
    private boolean ownPointInTime;
    private Fusion inlineFusion;

    /**
     * @param task of the search
     * @param pipeline the search pipeline that its request names, or null; the request that a rewrite sees has lost it
     * @param deadline when it ends
     */
    SearchNotes(TaskId task, String pipeline, Deadline deadline) {
        this.task = task;
        this.pipeline = pipeline;
        this.deadline = deadline;
    }

    TaskId task() {
        return task;
    }

    /** @return the search pipeline that the request names, or null */
    public String pipeline() {
        return pipeline;
    }

    ReaderContexts readers() {
        return readers;
    }

    /** @return how the search's hybrids are answered where it goes to several shards */
    public Way way() {
        return way;
    }

    void way(Way chosen) {
        way = chosen;
    }

    /** Notes, for the statistics, that the legs of a hybrid are on their way to the shards. */
    public void legsBegin() {
        legsBegan = System.nanoTime();
    }

    long legsBegan() {
        return legsBegan;
    }

    /** Keeps something until the search has ended. */
    public void hold(Releasable resource) {
        synchronized (held) {
            if (ended == false) {
                held.add(resource);
                return;
            }
        }
        resource.close();
    }

    /** Frees what the search holds. */
    void end() {
        readers.release();
        List<Releasable> all;
        synchronized (held) {
            ended = true;
            all = List.copyOf(held);
            held.clear();
        }
        Releasables.close(all);
    }

    /** @return what the rounds say of their shards */
    RoundShards shards() {
        return shards;
    }

    @Override
    public Deadline deadline() {
        return deadline;
    }

    @Override
    public void beside(SearchResponse answer) {
        shards.beside(answer);
    }

    /** Notes the profile of a round. */
    synchronized void profile(SearchResponse response) {
        response.getProfileResults().forEach((shard, profile) -> {
            String key = shard + "[legs]";
            for (int i = 2; profiles.containsKey(key); i++) {
                key = shard + "[legs " + i + "]";
            }
            profiles.put(key, profile);
        });
    }

    /** Notes that the point in time of the request is not the caller's. */
    synchronized void ownPointInTime() {
        ownPointInTime = true;
    }

    /** @return whether the point in time of the request is not the caller's */
    synchronized boolean isOwnPointInTime() {
        return ownPointInTime;
    }

    /** Notes the fusion of a search pipeline that stands in the request itself. */
    public synchronized void inlineFusion(Fusion fusion) {
        inlineFusion = fusion;
    }

    /** @return the fusion of a search pipeline that stands in the request itself, or null */
    public synchronized Fusion inlineFusion() {
        return inlineFusion;
    }

    /** Notes a leg that is left out. */
    public synchronized void degraded(DegradedLeg leg) {
        degraded.add(leg);
    }

    synchronized boolean isEmpty() {
        return shards.isEmpty() && degraded.isEmpty() && profiles.isEmpty() && ownPointInTime == false;
    }

    synchronized List<DegradedLeg> degraded() {
        return List.copyOf(degraded);
    }

    synchronized Map<String, ProfileShardResult> profiles() {
        return new LinkedHashMap<>(profiles);
    }
}
