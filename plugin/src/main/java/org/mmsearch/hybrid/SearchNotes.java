package org.mmsearch.hybrid;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.action.search.ShardSearchFailure;
import org.opensearch.core.tasks.TaskId;
import org.opensearch.search.profile.ProfileShardResult;

/** What the hybrids of one search leave for its answer, and the task that their rounds belong to. */
final class SearchNotes {

    private final TaskId task;
    private final List<ShardSearchFailure> failures = new ArrayList<>();
    private final List<DegradedLeg> degraded = new ArrayList<>();
    private final Map<String, ProfileShardResult> profiles = new LinkedHashMap<>();
    private boolean timedOut;

    SearchNotes(TaskId task) {
        this.task = task;
    }

    TaskId task() {
        return task;
    }

    synchronized void failed(List<ShardSearchFailure> more) {
        failures.addAll(more);
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
