package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.lucene.index.LeafReaderContext;
import org.mmsearch.fusion.FusedHit;
import org.mmsearch.fusion.LearnedModel;
import org.mmsearch.fusion.LegScore;
import org.mmsearch.fusion.ScoreRange;
import org.mmsearch.hybrid.legs.Legs;
import org.opensearch.common.document.DocumentField;
import org.opensearch.search.fetch.FetchContext;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.fetch.FetchSubPhaseProcessor;

/** Adds to {@code fields._legs} of each hit the legs of each hybrid that found it. */
public final class LegsFetchPhase implements FetchSubPhase {

    static final String FIELD = "_legs";

    private final FusedQueries running;

    /** @param running the fused queries of the searches on this node */
    public LegsFetchPhase(FusedQueries running) {
        this.running = running;
    }

    @Override
    public FetchSubPhaseProcessor getProcessor(FetchContext context) {
        List<FusedQuery> queries = running.of(context.getQueryShardContext());
        queries.removeIf(query -> query.described().evidence() == false);
        if (queries.isEmpty()) {
            return null;
        }
        return new FetchSubPhaseProcessor() {
            @Override
            public void setNextReader(LeafReaderContext leaf) {}

            @Override
            public void process(HitContext hit) throws IOException {
                if (hit.hit().getNestedIdentity() != null) {
                    return;
                }
                List<Object> legs = new ArrayList<>();
                for (FusedQuery query : queries) {
                    FusedDocs docs = query.docs(context.searcher());
                    FusedHit fused = docs.hit(hit.readerContext().docBase + hit.docId());
                    if (fused != null) {
                        legs.addAll(evidence(query.described(), docs, fused));
                    }
                }
                if (legs.isEmpty() == false) {
                    hit.hit().setDocumentField(FIELD, new DocumentField(FIELD, legs));
                }
            }
        };
    }

    private static List<Object> evidence(Legs described, FusedDocs docs, FusedHit hit) {
        List<Object> legs = new ArrayList<>();
        int only = hit.onlyLeg();
        LearnedModel learned = described.fusion().learned();
        for (int i = 0; i < hit.legs().length; i++) {
            LegScore leg = hit.legs()[i];
            if (leg == null) {
                continue;
            }
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("name", described.names().get(i));
            line.put("rank", leg.rank());
            line.put("score", leg.raw());
            line.put("normalized", leg.normalized());
            if (learned != null) {
                line.put("log_odds", (float) learned.logOdds(i, leg));
            }
            ScoreRange range = docs.range(i);
            if (range != null) {
                line.putAll(described.fusion().evidence(i, range));
            }
            if (only == i) {
                line.put("only", true);
            }
            legs.add(line);
        }
        return legs;
    }
}
