"""One page of what a log says: facts are the answers of `liftgate measure`, words and pictures are made of nothing else.

facts      asks every question, keeps each answer as its command prints it, and names the command
ladder     which layers a log has, and which arm of each the others are held against
shown      a number on the page: where it stands in the facts, and how it is written
verdict, recommend   rules from answers to words
picture, section_*   pictures and chapters
page       all of it, in one file that loads nothing
"""
