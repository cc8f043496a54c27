package org.mmsearch.hybrid.pipeline;

import java.util.Map;
import java.util.TreeMap;

import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.search.SearchNotes;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.core.index.Index;
import org.opensearch.index.IndexSettings;
import org.opensearch.search.pipeline.PipelineConfiguration;
import org.opensearch.search.pipeline.SearchPipelineMetadata;
import org.opensearch.search.pipeline.SearchPipelineService;

/** Finds the fusion that a request's search pipeline defines: the inline pipeline, the named one, or the default of its indices. */
public final class PipelineFusion {

    private final String clause;
    private final ClusterState state;

    /**
     * @param clause the clause's name
     * @param state the cluster state
     */
    public PipelineFusion(String clause, ClusterState state) {
        this.clause = clause;
        this.state = state;
    }

    /**
     * Returns the fusion, or null if no pipeline defines one.
     *
     * @param request the request with the hybrid
     * @param search the notes of the search, or null outside a search
     * @param indices the indices of the request
     * @throws IllegalArgumentException if the indices have different default pipelines
     */
    public Fusion of(SearchRequest request, SearchNotes search, Index[] indices) {
        if (search != null && search.inlineFusion() != null) {
            return search.inlineFusion();
        }
        if (request.source() != null && request.source().searchPipelineSource() != null) {
            return null;
        }
        return named(search == null || search.pipeline() == null ? ofIndices(indices) : search.pipeline());
    }

    private String ofIndices(Index[] indices) {
        Map<String, String> indexOf = new TreeMap<>();
        for (Index index : indices) {
            IndexMetadata metadata = state.metadata().index(index);
            if (metadata != null && IndexSettings.DEFAULT_SEARCH_PIPELINE.exists(metadata.getSettings())) {
                indexOf.putIfAbsent(IndexSettings.DEFAULT_SEARCH_PIPELINE.get(metadata.getSettings()), index.getName());
            }
        }
        if (indexOf.size() > 1) {
            throw new IllegalArgumentException(
                "[" + clause + "] expected its indices to agree on their default search pipeline, got " + indexOf
                    + ": name one in the request, or give the clause a [fusion]"
            );
        }
        return indexOf.isEmpty() ? SearchPipelineService.NOOP_PIPELINE_ID : indexOf.keySet().iterator().next();
    }

    private Fusion named(String id) {
        SearchPipelineMetadata pipelines = state.metadata().custom(SearchPipelineMetadata.TYPE);
        PipelineConfiguration pipeline = pipelines == null ? null : pipelines.getPipelines().get(id);
        return pipeline == null ? null : FusionProcessor.ofPipeline(pipeline.getConfigAsMap());
    }
}
