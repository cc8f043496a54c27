package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.fusion.Fusion;
import org.opensearch.action.search.ShardSearchFailure;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.search.profile.ProfileShardResult;

/** What the hybrids of one search leave for its answer, and the task that their rounds belong to. */
final class SearchNotes {

    private final TaskId task;
    private final String pipeline;
    private final List<ShardSearchFailure> failures = new ArrayList<>();
    private final List<DegradedLeg> degraded = new ArrayList<>();
    private final Map<String, ProfileShardResult> profiles = new LinkedHashMap<>();
    private boolean timedOut;
    private Fusion inlineFusion;

    /**
     * @param task of the search
     * @param pipeline the search pipeline that its request names, or null; the request that a rewrite sees has lost it
     */
    SearchNotes(TaskId task, String pipeline) {
        this.task = task;
        this.pipeline = pipeline;
    }

    TaskId task() {
        return task;
    }

    String pipeline() {
        return pipeline;
    }

    synchronized void failed(List<ShardSearchFailure> more) {
        failures.addAll(more);
    }

    synchronized void inlineFusion(Fusion fusion) {
        inlineFusion = fusion;
    }

    /** The fusion of a search pipeline that stands in the request itself, or null. */
    synchronized Fusion inlineFusion() {
        return inlineFusion;
    }

    synchronized void timedOut() {
        timedOut = true;
    }

    synchronized void degraded(DegradedLeg leg) {
        degraded.add(leg);
    }

    synchronized void profiled(Map<String, ProfileShardResult> more) {
        more.forEach((shard, profile) -> {
            String key = shard + "[legs]";
            for (int i = 2; profiles.containsKey(key); i++) {
                key = shard + "[legs " + i + "]";
            }
            profiles.put(key, profile);
        });
    }

    synchronized boolean isEmpty() {
        return failures.isEmpty() && degraded.isEmpty() && profiles.isEmpty() && timedOut == false;
    }

    synchronized List<ShardSearchFailure> failures() {
        return List.copyOf(failures);
    }

    synchronized List<DegradedLeg> degraded() {
        return List.copyOf(degraded);
    }

    synchronized Map<String, ProfileShardResult> profiles() {
        return new LinkedHashMap<>(profiles);
    }

    synchronized boolean isTimedOut() {
        return timedOut;
    }
}
