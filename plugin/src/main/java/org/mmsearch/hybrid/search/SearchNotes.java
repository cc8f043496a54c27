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

/** The state of one search while it runs: the way of its hybrids, and what they add to its response. */
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
     * @param task the task of the search
     * @param pipeline the search pipeline named in the request, or null; a rewrite cannot read it from the request
     * @param deadline the deadline of the search
     */
    SearchNotes(TaskId task, String pipeline, Deadline deadline) {
        this.task = task;
        this.pipeline = pipeline;
        this.deadline = deadline;
    }

    TaskId task() {
        return task;
    }

    /** Returns the search pipeline named in the request, or null. */
    public String pipeline() {
        return pipeline;
    }

    ReaderContexts readers() {
        return readers;
    }

    /** Returns how the search's hybrids are executed if it goes to several shards. */
    public Way way() {
        return way;
    }

    void way(Way chosen) {
        way = chosen;
    }

    /** Starts the clock of the legs, for the statistics. */
    public void legsBegin() {
        legsBegan = System.nanoTime();
    }

    long legsBegan() {
        return legsBegan;
    }

    /** Keeps a resource until the search ends. */
    public void hold(Releasable resource) {
        synchronized (held) {
            if (ended == false) {
                held.add(resource);
                return;
            }
        }
        resource.close();
    }

    /** Releases all resources of the search. */
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

    /** Returns the shard failures and counts of the rounds. */
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

    /** Adds the profile of a round. */
    synchronized void profile(SearchResponse response) {
        response.getProfileResults().forEach((shard, profile) -> {
            String key = shard + "[legs]";
            for (int i = 2; profiles.containsKey(key); i++) {
                key = shard + "[legs " + i + "]";
            }
            profiles.put(key, profile);
        });
    }

    /** Sets that the plugin, not the caller, opened the request's point in time. */
    synchronized void ownPointInTime() {
        ownPointInTime = true;
    }

    /** Returns whether the plugin, not the caller, opened the request's point in time. */
    synchronized boolean isOwnPointInTime() {
        return ownPointInTime;
    }

    /** Sets the fusion of a search pipeline that is defined in the request. */
    public synchronized void inlineFusion(Fusion fusion) {
        inlineFusion = fusion;
    }

    /** Returns the fusion of a search pipeline that is defined in the request, or null. */
    public synchronized Fusion inlineFusion() {
        return inlineFusion;
    }

    /** Adds a leg that is left out. */
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
