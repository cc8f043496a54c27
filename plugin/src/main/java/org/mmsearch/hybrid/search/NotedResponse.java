package org.mmsearch.hybrid.search;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchResponseSections;
import org.opensearch.action.search.ShardSearchFailure;
import org.opensearch.search.SearchExtBuilder;
import org.opensearch.search.aggregations.InternalAggregations;
import org.opensearch.search.internal.InternalSearchResponse;
import org.opensearch.search.profile.ProfileShardResult;
import org.opensearch.search.profile.SearchProfileShardResults;

/** Writes into a search's answer what its hybrids left for it. */
final class NotedResponse {

    private NotedResponse() {}

    static SearchResponse of(SearchNotes notes, SearchResponse response) {
        if (notes.isEmpty()) {
            return response;
        }
        Map<String, ProfileShardResult> profiles = new LinkedHashMap<>(response.getProfileResults());
        profiles.putAll(notes.profiles());
        List<SearchExtBuilder> exts = new ArrayList<>();
        if (response.getInternalResponse() != null) {
            exts.addAll(response.getInternalResponse().getSearchExtBuilders());
        }
        if (notes.degraded().isEmpty() == false) {
            exts.add(new MmsearchExt(notes.degraded()));
        }
        SearchResponseSections sections = new InternalSearchResponse(
            response.getHits(),
            (InternalAggregations) response.getAggregations(),
            response.getSuggest(),
            profiles.isEmpty() ? null : new SearchProfileShardResults(profiles),
            response.isTimedOut() || notes.isTimedOut(),
            response.isTerminatedEarly(),
            response.getNumReducePhases(),
            exts,
            response.getInternalResponse() == null ? List.of() : response.getInternalResponse().getProcessorResult()
        );
        List<ShardSearchFailure> failures = failures(notes, response);
        // A shard whose legs failed is no longer part of the search itself, nor is one that its round skipped.
        int total = Math.max(response.getTotalShards(), notes.shards());
        return new SearchResponse(
            sections,
            response.getScrollId(),
            total,
            total - shards(failures).size(),
            Math.max(response.getSkippedShards(), notes.skipped()),
            response.getTook().millis(),
            response.getPhaseTook(),
            failures.toArray(ShardSearchFailure[]::new),
            response.getClusters(),
            notes.isOwnPointInTime() ? null : response.pointInTimeId()
        );
    }

    private static List<ShardSearchFailure> failures(SearchNotes notes, SearchResponse response) {
        List<ShardSearchFailure> failures = new ArrayList<>(List.of(response.getShardFailures()));
        Set<Object> known = shards(failures);
        for (ShardSearchFailure failure : notes.failures()) {
            if (known.add(shard(failure))) {
                failures.add(failure);
            }
        }
        return failures;
    }

    private static Set<Object> shards(List<ShardSearchFailure> failures) {
        Set<Object> shards = new HashSet<>();
        failures.forEach(failure -> shards.add(shard(failure)));
        return shards;
    }

    private static Object shard(ShardSearchFailure failure) {
        return failure.shard() == null ? failure : failure.shard().getShardId();
    }
}
