package org.mmsearch.hybrid.search;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.opensearch.action.search.SearchResponse;
import org.opensearch.action.search.SearchResponseSections;
import org.opensearch.search.SearchExtBuilder;
import org.opensearch.search.aggregations.InternalAggregations;
import org.opensearch.search.internal.InternalSearchResponse;
import org.opensearch.search.profile.ProfileShardResult;
import org.opensearch.search.profile.SearchProfileShardResults;

/** Adds the notes of a search to its response. */
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
            response.isTimedOut() || notes.shards().isTimedOut(),
            response.isTerminatedEarly(),
            response.getNumReducePhases(),
            exts,
            response.getInternalResponse() == null ? List.of() : response.getInternalResponse().getProcessorResult()
        );
        // The search does not count shards whose legs failed or that the round of legs skipped.
        RoundShards.Sum shards = notes.shards().with(response);
        return new SearchResponse(
            sections,
            response.getScrollId(),
            shards.total(),
            shards.successful(),
            shards.skipped(),
            response.getTook().millis(),
            response.getPhaseTook(),
            shards.failures(),
            response.getClusters(),
            notes.isOwnPointInTime() ? null : response.pointInTimeId()
        );
    }
}
