package org.mmsearch.hybrid;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.lucene.document.LongPoint;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.NumericDocValues;
import org.apache.lucene.index.ReaderUtil;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.DocIdSetIterator;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreMode;
import org.apache.lucene.search.Scorer;
import org.apache.lucene.search.Weight;
import org.apache.lucene.util.Bits;
import org.opensearch.common.lucene.search.Queries;
import org.opensearch.index.mapper.SeqNoFieldMapper;

/** Finds the winners of one shard again, by their sequence numbers. */
final class WinnersQuery extends FusedQuery {

    private final List<Winner> winners;
    private final HybridStats stats;

    WinnersQuery(List<Query> legs, Legs described, List<Winner> winners, HybridStats stats) {
        super(legs, described);
        this.winners = winners.stream().sorted(Comparator.comparingInt(Winner::doc)).toList();
        this.stats = stats;
    }

    @Override
    FusedDocs resolve(IndexSearcher searcher) throws IOException {
        List<FusedDocs.Doc> docs = new ArrayList<>(winners.size());
        Map<Long, Winner> moved = byHint(searcher, docs);
        if (moved.isEmpty() == false) {
            bySeqNo(searcher, moved, docs);
            stats.handlesLost(moved.size());
        }
        return new FusedDocs(docs);
    }

    /** Looks where the first round saw each winner; those that are not there are returned. */
    private Map<Long, Winner> byHint(IndexSearcher searcher, List<FusedDocs.Doc> docs) throws IOException {
        Map<Long, Winner> moved = new HashMap<>();
        List<LeafReaderContext> leaves = searcher.getIndexReader().leaves();
        int maxDoc = searcher.getIndexReader().maxDoc();
        LeafReaderContext leaf = null;
        NumericDocValues seqNos = null;
        NumericDocValues roots = null;
        for (Winner winner : winners) {
            if (winner.doc() < maxDoc) {
                if (leaf == null || winner.doc() >= leaf.docBase + leaf.reader().maxDoc()) {
                    leaf = leaves.get(ReaderUtil.subIndex(winner.doc(), leaves));
                    seqNos = leaf.reader().getNumericDocValues(SeqNoFieldMapper.NAME);
                    roots = leaf.reader().getNumericDocValues(SeqNoFieldMapper.PRIMARY_TERM_NAME);
                }
                int doc = winner.doc() - leaf.docBase;
                Bits live = leaf.reader().getLiveDocs();
                if ((live == null || live.get(doc))
                    && seqNos != null
                    && seqNos.advanceExact(doc)
                    && seqNos.longValue() == winner.seqNo()
                    // Nested children carry their parent's sequence number, but no primary term.
                    && roots != null
                    && roots.advanceExact(doc)) {
                    docs.add(new FusedDocs.Doc(winner.doc(), winner.hit()));
                    continue;
                }
            }
            moved.put(winner.seqNo(), winner);
        }
        return moved;
    }

    /** Looks winners up whose segment was merged or whose shard copy is another one; those found are taken out of {@code moved}. */
    private static void bySeqNo(IndexSearcher searcher, Map<Long, Winner> moved, List<FusedDocs.Doc> docs) throws IOException {
        Collection<Long> wanted = List.copyOf(moved.keySet());
        Query query = new BooleanQuery.Builder().add(LongPoint.newSetQuery(SeqNoFieldMapper.NAME, wanted), Occur.FILTER)
            .add(Queries.newNonNestedFilter(), Occur.FILTER)
            .build();
        Weight weight = searcher.createWeight(searcher.rewrite(query), ScoreMode.COMPLETE_NO_SCORES, 1f);
        for (LeafReaderContext leaf : searcher.getIndexReader().leaves()) {
            Scorer scorer = weight.scorer(leaf);
            NumericDocValues seqNos = leaf.reader().getNumericDocValues(SeqNoFieldMapper.NAME);
            if (scorer == null || seqNos == null) {
                continue;
            }
            Bits live = leaf.reader().getLiveDocs();
            DocIdSetIterator found = scorer.iterator();
            for (int doc = found.nextDoc(); doc != DocIdSetIterator.NO_MORE_DOCS; doc = found.nextDoc()) {
                if ((live == null || live.get(doc)) && seqNos.advanceExact(doc)) {
                    Winner winner = moved.remove(seqNos.longValue());
                    if (winner != null) {
                        docs.add(new FusedDocs.Doc(leaf.docBase + doc, winner.hit()));
                    }
                }
            }
        }
    }

    @Override
    public String toString(String field) {
        return "hybrid winners of " + legs();
    }
}
