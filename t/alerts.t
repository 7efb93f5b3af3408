#!/usr/bin/perl

# conf/alerts.yml: each alert fires when it should, and only then, by promtool;
# and it names metrics and labels that there are.

use strict;
use warnings;

use FindBin;
use File::Temp qw(tempdir);
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

my $file = "$FindBin::Bin/../conf/alerts.yml";
open my $fh, '<', $file or die "$file: $!";
my $rules = do { local $/; <$fh> };

my $operating = do {
    open my $doc, '<', "$FindBin::Bin/../docs/operating.md" or die $!;
    local $/;
    <$doc>;
};

my ($up, $still) = ('0+1x60', '7x60');
my $game = 'game="g"';

# what fires it, and what does not, each a list of series and their values at
# every minute
my %alert = (
    RedisAway => [
        [ 'redis_drops_total{reason="down"}' => $up ],
        [ 'redis_drops_total{reason="down"}' => $still ] ],
    RedisOverloaded => [
        [ 'redis_drops_total{reason="bytes"}' => $up ],
        [ 'redis_drops_total{reason="down"}' => $up ] ],
    OutcomeUnknown => [
        [ 'requests_total{api="event",code="outcome_unknown"}' => $up ],
        [ 'requests_total{api="event",code="ok"}' => $up ] ],
    RedisReadonly => [
        [ 'redis_errors_total{class="readonly"}' => $up ],
        [ 'redis_errors_total{class="connect"}' => $up ] ],
    RedisErrors => [
        [ 'redis_errors_total{class="script"}' => $up ],
        [ 'redis_errors_total{class="timeout"}' => $up ] ],
    ObservedLost => [
        [ 'observed_dropped_total{reason="ring_full"}' => $up ],
        [ 'observed_dropped_total{reason="ring_full"}' => $still ] ],
    ObservedRefused => [
        [ 'observed_refused_total{reason="invalid_amount"}' => $up ],
        [ 'observed_refused_total{reason="no_member"}' => $up ] ],
    ObservedWaits => [
        [ 'spool_bytes{}' => '400x60' ], [ 'spool_bytes{}' => '0x60' ] ],
    SpoolErrors => [
        [ 'spool_errors_total{}' => $up ],
        [ 'spool_errors_total{}' => $still ] ],
    RingFills => [
        [ 'ring_used_slots{}' => '900x60', 'ring_slots{}' => '1000x60' ],
        [ 'ring_used_slots{}' => '700x60', 'ring_slots{}' => '1000x60' ] ],
    LookupsFail => [
        [ 'lookups_total{status="timeout"}' => '0+1x60',
          'lookups_total{status="ok"}' => '0+9x60' ],
        [ 'lookups_total{status="timeout"}' => '0+1x60',
          'lookups_total{status="ok"}' => '0+90x60' ] ],
    SignaturesRefused => [
        [ 'requests_total{code="invalid_signature"}' => '0+2x60' ],
        [ 'requests_total{code="invalid_signature"}' => '0x50 1x10' ] ],
    AwardsRefused => [
        [ 'awards_refused_total{reason="paused"}' => $up ],
        [ 'awards_refused_total{reason="limit_reached"}' => $up ] ],
    CodesLow => [
        [ 'codes_unused{pool="a"}' => '99x60' ],
        [ 'codes_unused{pool="a"}' => '100x60' ] ],
    DrawStopped => [
        [ "draw_stopped{$game}" => '1x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ],
        [ "draw_stopped{$game}" => '0x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ] ],
    DrawHeld => [
        [ "draw_held{$game}" => '1x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ],
        [ "draw_held{$game}" => '0x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ] ],
    DrawRefused => [
        [ 'requests_total{code="unsafe_store"}' => $up ],
        [ 'requests_total{code="sold_out"}' => $up ] ],
    NobodyLeads => [
        [ "draw_stopped{$game}" => '0x60' ],
        [ "draw_stopped{$game}" => '0x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ] ],
    HeadOld => [
        [ "draw_head_age_seconds{$game}" => '90x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ],
        [ "draw_head_age_seconds{$game}" => '90x60',
          "draw_state{$game,state=\"over\"}" => '1x60' ],
        [ "draw_head_age_seconds{$game}" => '60x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ] ],
    BeaconOld => [
        [ 'beacon_age_seconds{}' => '30x60',
          "draw_head_age_seconds{$game}" => '3x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ],
        [ 'beacon_age_seconds{}' => '30x60',
          "draw_head_age_seconds{$game}" => '3x60',
          "draw_state{$game,state=\"over\"}" => '1x60' ],
        [ 'beacon_age_seconds{}' => '30x60',
          'draw_state{game="sweepstakes",state="open"}' => '1x60' ],
        [ 'beacon_age_seconds{}' => '4x60',
          "draw_head_age_seconds{$game}" => '3x60',
          "draw_state{$game,state=\"open\"}" => '1x60' ] ],
    BeaconDisagrees => [
        [ 'beacon_disagreements_total{}' => '0x50 1x10' ],
        [ 'beacon_disagreements_total{}' => $still ] ],
    TimestampMissing => [
        [ "draw_missing_timestamps{$game}" => '1x60' ],
        [ "draw_missing_timestamps{$game}" => '0x60' ] ],
);


# ---- all of them are here, and in the documentation ----

my @names = $rules =~ /^ +- alert: Loyalty(\w+)$/mg;
is_deeply([sort @names], [sort keys %alert], 'each alert is tested');
like($operating, qr/^\| `Loyalty$_` \|/m, "$_: what to do about it")
    for @names;


# ---- they name what there is ----

my $t = Loyalty::Test->new(program => 'wallet points;');
my $page = $t->get('/metrics')->body;
my %metric = map { $_ => 1 } $page =~ /^# TYPE (\S+)/mg;
my %named = map { $_ => 1 } $rules =~ /\b(nginx_loyalty_\w+)/g;

ok($metric{$_}, "$_ is a metric") for sort keys %named;

open my $api, '<', "$FindBin::Bin/../docs/api.md" or die $!;
my $text = do { local $/; <$api> };

for my $value (sort map { split /\|/ }
               $rules =~ /\b(?:reason|code|class|status|state)[!=]~?"([\w|]+)"/g)
{
    like($text, qr/`$value`/, "\"$value\" is a value that there is");
}


# ---- they fire ----

SKIP: {
    skip('promtool is not installed', 1)
        if !grep { -x "$_/promtool" } split /:/, $ENV{PATH};

    my $dir = tempdir(CLEANUP => 1);
    my $tests = "rule_files: [ alerts.yml ]\nevaluation_interval: 1m\ntests:\n";

    for my $name (sort keys %alert) {
        my ($fires, @calm) = @{$alert{$name}};

        $tests .= one($name, $fires, 1);
        $tests .= one($name, $_, 0) for @calm;
    }

    write_file("$dir/alerts.yml", $rules);
    write_file("$dir/tests.yml", $tests);

    my $said = `cd $dir && promtool test rules tests.yml 2>&1`;
    is($?, 0, 'each alert fires when it should, and only then')
        or diag($said);
}


# 55 minutes in, whether it fires
sub one {
    my ($name, $series, $fires) = @_;
    my @series = @$series;
    my $text = "  - interval: 1m\n    input_series:\n";

    while (my ($metric, $values) = splice @series, 0, 2) {
        $metric =~ s/\{/{program="shop",instance="a",/;
        $metric =~ s/,\}/}/;
        $text .= "      - series: 'nginx_loyalty_$metric'\n"
               . "        values: '$values'\n";
    }

    return $text . <<"END" . ($fires ? <<'END2' : "        exp_samples: []\n");
    promql_expr_test:
      - expr: count(ALERTS{alertname="Loyalty$name",alertstate="firing"})
        eval_time: 55m
END
        exp_samples: [ { labels: '{}', value: 1 } ]
END2
}


sub write_file {
    my ($name, $bytes) = @_;

    open my $out, '>', $name or die "$name: $!";
    print {$out} $bytes;
    close $out or die "$name: $!";

    return;
}


done_testing();
