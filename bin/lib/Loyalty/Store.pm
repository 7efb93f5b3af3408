package Loyalty::Store;

# What the commands that read a program's keys share: options that name the
# Redis, the names behind the hashes, and members with their overflow.
#
#     my %opt = Loyalty::Store::options();          # eats @ARGV's options
#     my $store = Loyalty::Store->new(%opt);
#     my $names = $store->names('shop');            # { "8 hex digits" => .. }
#     my @members = $store->members([$key, $overflow_key], ...);
#                                                   # [ value, [ overflow ] ]
#
# A member and its overflow are read in one transaction, so that a program
# at work is read between two events.  Problems die with one line.

use strict;
use warnings;

use Getopt::Long ();

use Loyalty::RESP;

our $OPTIONS = <<'END';
  --redis WHERE          unix:/path or host:port; default 127.0.0.1:6379
  --program NAME         the loyalty_program
  --user NAME            of Redis
  --password-file FILE   its first line is the password
  --db NUMBER            default 0
  --help                 this text
END


# undef for options that are wrong: Getopt has said so
sub options {
    my %opt = (redis => '127.0.0.1:6379', db => 0);

    Getopt::Long::GetOptions(\%opt, 'redis=s', 'program=s', 'user=s',
                             'password-file=s', 'db=i', 'help')
        or return;

    if (defined $opt{program} && $opt{program} !~ /^[A-Za-z0-9_-]+\z/) {
        print STDERR "invalid program name \"$opt{program}\"\n";
        return;
    }

    return %opt;
}


sub new {
    my ($class, %opt) = @_;
    my $password;

    if (defined(my $file = $opt{'password-file'})) {
        open my $fh, '<', $file or die "$file: $!\n";
        $password = <$fh> // '';
        $password =~ s/\r?\n\z//;
    }

    my $redis = Loyalty::RESP->new($opt{redis}, user => $opt{user},
                                   password => $password, db => $opt{db},
                                   timeout => 30);

    return bless { redis => $redis }, $class;
}


sub redis { return $_[0]{redis} }


sub names {
    my ($self, $program) = @_;

    return $self->{names}{$program} //= {
        @{ $self->{redis}->call('HGETALL', "{$program}:names") }
    };
}


# An error of Redis about one key stands in place of its value, as a
# Loyalty::RESP::Error.
sub members {
    my ($self, @pairs) = @_;

    my @replies = $self->{redis}->pipeline(map {
        (['MULTI'], ['GET', $_->[0]], ['HGETALL', $_->[1]], ['EXEC'])
    } @pairs);

    my @members;

    while (my @four = splice @replies, 0, 4) {
        my ($error) = grep { ref $_ eq 'Loyalty::RESP::Error' } @four;
        die "Redis: $error\n" if defined $error;

        push @members, $four[3];
    }

    return @members;
}


1;
